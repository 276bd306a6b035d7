// A realistic trace for the page's tests: one creation of a cluster, about 150 spans with
// requests, responses, waits, a retried call and, if asked for, a failure. Deterministic.

const BASE = 1_763_800_000;
const TRACE = "d572232a8fed45fad572232a8fed45fa";

/** `{trace, logs}` as the API answers them. `until` (ms) leaves out the future; `fail` ends it badly. */
export function creation({ until = Infinity, fail = false } = {}) {
  const b = new Builder();
  const http = b.open("POST /v1/clusters", null, 0, "server", { "http.request.method": "POST", "http.route": "/v1/clusters", "http.response.status_code": 202, "url.path": "/v1/clusters" });
  b.close(http, 14);
  b.log(http, 9, "INFO", "resource accepted", { resource: "clusters/idg", generation: 1 });
  const run = b.open("run clusters", http, 12, "internal", { "fixpoint.run.id": "01k9q7m3v0aa", "fixpoint.resource": "clusters/idg", "fixpoint.generation": 1 });
  let t = 20;
  t = b.create(run, t, 1, ["create_vpc", "create_key_pair", "create_instance_profile"], "add-on grafana: waits for a healthy data node");
  t = b.step(run, t, "create_vpc", [["EC2.CreateVpc", 420, { CidrBlock: "10.31.0.0/16" }, { Vpc: { VpcId: "vpc-0a1b2c3d4e5f60718", State: "pending" } }], ["EC2.CreateTags", 160]]);
  const t2 = b.step(run, t, "create_key_pair", [["EC2.CreateKeyPair", 380, { KeyName: "fixpoint-idg" }, { KeyMaterial: "[removed]", KeyPairId: "key-04f2" }]]);
  t = b.step(run, t2, "create_instance_profile", [["IAM.CreateRole", 510], ["IAM.PutRolePolicy", 300], ["IAM.CreateInstanceProfile", 350], ["IAM.AddRoleToInstanceProfile", 240]]);
  t = b.create(run, t, 2, ["together"], "load balancer: waits for subnets");
  const together = b.open("together", run, t, "internal", { "fixpoint.step.key": "Together { subnets, gateway, groups }" });
  const ends = [
    b.step(together, t, "create_subnets", [["EC2.CreateSubnet", 440], ["EC2.CreateSubnet", 410], ["EC2.ModifySubnetAttribute", 150]]),
    b.step(together, t, "create_internet_gateway", [["EC2.CreateInternetGateway", 320], ["EC2.AttachInternetGateway", 280], ["EC2.CreateRouteTable", 300], ["EC2.CreateRoute", 200], ["EC2.AssociateRouteTable", 210]]),
    b.step(together, t, "create_security_group", [["EC2.CreateSecurityGroup", 350], ["EC2.AuthorizeSecurityGroupIngress", 260], ["EC2.AuthorizeSecurityGroupEgress", 260]]),
  ];
  b.close(together, (t = Math.max(...ends) + 2));
  t = b.create(run, t, 3, ["create_instances", "create_load_balancer"]);
  t = b.step(run, t, "create_instances", [["EC2.DescribeImages", 480], ["EC2.RunInstances", 1450, { ImageId: "ami-0c1f44f890950b53c", MinCount: 3, MaxCount: 3, InstanceType: "m6i.large", ClientToken: "fixpoint-idg-nodes-1", UserData: "[removed]" }, { Instances: ["i-0f3a9c2be41d7a001", "i-0f3a9c2be41d7a002", "i-0f3a9c2be41d7a003"].map((InstanceId) => ({ InstanceId, State: "pending" })) }]], { retry: true });
  t = b.wait(run, t, "wait_for_instances", "3 instances to be running", "EC2.DescribeInstances", 9, 900);
  t = b.step(run, t, "create_load_balancer", [["ELBv2.CreateLoadBalancer", 900], ["ELBv2.CreateTargetGroup", 400], ["ELBv2.CreateListener", 350], ["ELBv2.AddTags", 180]]);
  t = b.create(run, t, 4, ["register_cluster_node_to_lb"]);
  if (fail) {
    const step = b.open("register_cluster_node_to_lb", run, t, "internal", { "fixpoint.step.key": "RegisterClusterNodeToLb { node: i-0f3a9c2be41d7a003 }" });
    t = b.call(step, t + 3, "ELBv2.DescribeTargetGroups", 240);
    t = b.call(step, t + 2, "ELBv2.RegisterTargets", 260, { TargetGroupArn: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/idg/6d0e", Targets: [{ Id: "i-0f3a9c2be41d7a003", Port: 8086 }] }, { Error: { Code: "AccessDenied", Message: "User is not authorized to perform: elasticloadbalancing:RegisterTargets" } }, "AccessDenied");
    b.log(step, t, "ERROR", "step failed", { step: "register_cluster_node_to_lb", error: "ELBv2.RegisterTargets: AccessDenied" });
    b.close(step, t + 2, "could not register i-0f3a9c2be41d7a003 with the load balancer");
    b.close(run, t + 6, "step register_cluster_node_to_lb failed");
  } else {
    t = b.step(run, t, "register_cluster_node_to_lb", [["ELBv2.DescribeTargetGroups", 240], ["ELBv2.RegisterTargets", 260]]);
    t = b.wait(run, t, "wait_for_healthy_targets", "3 targets to be healthy", "ELBv2.DescribeTargetHealth", 14, 700);
    t = b.create(run, t, 5, ["install_addon"], "");
    t = b.step(run, t, "install_addon", [["EC2.RunInstances", 1300], ["ELBv2.CreateTargetGroup", 380], ["ELBv2.CreateRule", 300], ["ELBv2.RegisterTargets", 250]]);
    t = b.create(run, t, 6, []);
    b.log(run, t, "INFO", "converged", { iterations: 6 });
    b.close(run, t + 2);
  }
  return b.build(until);
}

/** A trace of `count` spans: a run with steps of ten calls each, every thousandth call failed. */
export function large(count) {
  const b = new Builder();
  const run = b.open("run clusters", null, 0, "internal", { "fixpoint.run.id": "large" });
  let t = 0;
  while (b.spans.length < count) {
    const step = b.open("create_volume", run, t, "internal", { "fixpoint.step.key": `Volume(${b.spans.length})` });
    for (let i = 0; i < 9 && b.spans.length < count; i++) {
      const call = b.open(i % 2 ? "EC2.CreateVolume" : "EC2.DescribeVolumes", step, t, "client", { "rpc.system": "aws-api" });
      b.close(call, (t += 3), b.spans.length % 1000 === 0 ? "VolumeLimitExceeded" : "");
    }
    b.close(step, t);
  }
  b.close(run, t);
  return b.build(Infinity);
}

/** A provisioning run of `count` spans with all that a real one has: looks, steps, retries, waits that poll four hundred times. */
export function provisioning(count) {
  const b = new Builder();
  const http = b.open("POST /v1/clusters", null, 0, "server", { "http.request.method": "POST", "http.route": "/v1/clusters", "http.response.status_code": 202 });
  b.close(http, 14);
  const run = b.open("run clusters", http, 12, "internal", { "fixpoint.run.id": "01k9q7m3v0aa", "fixpoint.resource": "clusters/idg", "fixpoint.generation": 1 });
  let t = 20;
  for (let iteration = 1; b.spans.length < count - 1; iteration++) {
    t = b.create(run, t, iteration, ["create_subnets", "create_instances", "wait_for_healthy_targets"]);
    t = b.step(run, t, "create_subnets", [["EC2.CreateSubnet", 440], ["EC2.ModifySubnetAttribute", 150], ["EC2.CreateTags", 120]]);
    t = b.step(run, t, "create_instances", [["EC2.DescribeImages", 480], ["EC2.RunInstances", 1450], ["EC2.CreateTags", 160]], { retry: true });
    t = b.wait(run, t, "wait_for_healthy_targets", "3 targets to be healthy", "ELBv2.DescribeTargetHealth", 412, 5000);
    if (iteration % 20 === 0) t = b.call(run, t, "ELBv2.RegisterTargets", 260, undefined, { Error: { Code: "Throttling" } }, "Throttling") + 1;
  }
  b.spans.length = count;
  b.close(run, t, "not every target became healthy");
  for (const span of b.spans) span.end ??= t;
  const known = new Set(b.spans.map((span) => span.id));
  b.logs = b.logs.filter((log) => known.has(log.line.span_id)).slice(-10_000);
  return b.build(Infinity);
}

/** A trace with everything that can be odd about one. */
export function odd() {
  const b = new Builder();
  const root = b.open("GET /checkout", null, 100, "server", { "http.request.method": "GET", "http.route": "/checkout" });
  const early = b.open("charge card", root, 62, "server", { "http.request.method": "POST" });
  const query = b.open("SELECT orders", early, 70, "client", { "db.system.name": "postgresql" });
  b.close(query, 88);
  b.close(early, 160);
  b.event(root, 130, "cache.miss");
  for (let k = 0; k < 14; k++) {
    const query = b.open("SELECT item", root, 170 + k * 9, "client", { "db.system.name": "postgresql" });
    b.close(query, 176 + k * 9, k === 9 ? "deadlock detected" : "");
  }
  b.log(root, 171, "INFO", "reads the items one by one");
  b.log(root, 262, "WARN", "slow query");
  b.close(root, 320);
  const other = b.open("GET /checkout", null, 400, "server", { "http.request.method": "GET" });
  b.close(other, 420);
  const lost = b.open("send mail", { id: "00000000000000ff" }, 330, "producer", {});
  const open = b.open("deliver mail", lost, 340, "consumer", {});
  b.close(lost, 350);
  b.close(open, Infinity);
  return { ...b.build(1e6), partial: "segment 7 could not be read" };
}

class Builder {
  spans = [];
  logs = [];

  open(name, parent, at, kind, attributes) {
    const span = { id: (0xa000000000 + this.spans.length * 7919).toString(16).padStart(16, "1"), parent: parent?.id ?? "", name, at, kind, attributes, events: [] };
    this.spans.push(span);
    return span;
  }

  close(span, at, error = "") {
    Object.assign(span, { end: at, error });
  }

  event(span, at, name) {
    span.events.push({ name, timeUnixNano: nanos(at), attributes: [] });
  }

  log(span, at, level, message, fields = {}) {
    this.logs.push({ at, line: { level, message, trace_id: TRACE, span_id: span.id, target: "fixpoint::scheduler", ...fields } });
  }

  call(parent, at, name, ms, request, response, error = "", retry = false) {
    const n = this.spans.length;
    const [service, method] = name.split(".");
    const answered = response ?? { ResponseMetadata: { RequestId: `req-${n}` } };
    const span = this.open(name, parent, at, "client", {
      "rpc.system": "aws-api", "rpc.service": service, "rpc.method": method, "cloud.region": "eu-central-1",
      "fixpoint.request": JSON.stringify(request ?? { Filters: [{ Name: "tag:fixpoint:cluster", Values: ["idg"] }] }),
      "fixpoint.response": JSON.stringify(answered), "aws.request_id": `7b0d3c1e-0000-4000-8000-${String(n).padStart(12, "0")}`,
      "http.response.status_code": error ? 403 : 200, "fixpoint.aws.attempts": retry ? 2 : 1, ...(error && { "error.type": error }),
    });
    let from = at + 1;
    if (retry) {
      const first = this.open("attempt", span, from, "client", { "fixpoint.attempt": 1, "error.type": "RequestLimitExceeded", "fixpoint.throttled": true, "http.response.status_code": 503 });
      this.close(first, from + 90, "RequestLimitExceeded: Request limit exceeded.");
      this.log(span, from + 91, "WARN", "throttled, tries again", { operation: name, attempt: 1 });
      from += 400;
    }
    const attempt = this.open("attempt", span, from, "client", { "fixpoint.attempt": retry ? 2 : 1, "http.response.status_code": error ? 403 : 200 });
    this.close(attempt, from + ms - 1, error);
    this.close(span, from + ms, error === "Throttling" ? "Rate exceeded" : error && "User is not authorized to perform: elasticloadbalancing:RegisterTargets");
    return from + ms;
  }

  create(run, at, iteration, steps, withheld = "") {
    const span = this.open("create", run, at, "internal", { "fixpoint.iteration": iteration, "fixpoint.steps": steps.join(", "), ...(withheld && { "fixpoint.withheld": withheld }), "fixpoint.seen": `registered nodes: ${iteration > 4 ? 3 : 0} of 3` });
    let end = at;
    for (const name of ["EC2.DescribeVpcs", "EC2.DescribeSubnets", "EC2.DescribeInstances", "ELBv2.DescribeLoadBalancers"]) end = Math.max(end, this.call(span, at + 1, name, 90 + name.length * 4));
    this.log(span, end, "INFO", "plan created", { iteration, steps: steps.length });
    this.close(span, end + 3);
    return end + 4;
  }

  step(parent, at, name, calls, { retry = false } = {}) {
    const span = this.open(name, parent, at, "internal", { "fixpoint.step.key": `${name} { cluster: "idg" }` });
    this.log(span, at, "INFO", "step started", { step: name });
    let t = at + 2;
    for (const [call, ms, request, response] of calls) t = this.call(span, t, call, ms, request, response, "", retry && call === "EC2.RunInstances") + 1;
    this.close(span, t);
    return t + 1;
  }

  wait(parent, at, name, reason, call, polls, every) {
    const span = this.open(name, parent, at, "internal", { "fixpoint.step.key": `Wait(${name})`, "fixpoint.wait.reason": reason, "fixpoint.wait.wanted": "3 of 3", "fixpoint.wait.seen": "0 of 3", "fixpoint.wait.polls": polls });
    let t = at;
    for (let i = 0; i < polls; i++) t = this.call(span, t + every, call, 110);
    span.attributes["fixpoint.wait.seen"] = "3 of 3";
    this.close(span, t + 1);
    return t + 2;
  }

  build(until) {
    const spans = this.spans.filter((span) => span.at <= until).map((span) => toOtlp(span, until));
    const logs = this.logs.filter((log) => log.at <= until).sort((a, b) => a.at - b.at).map(({ at, line }) => ({ time: new Date(BASE * 1e3 + at).toISOString(), ...line }));
    const attributes = [{ key: "service.name", value: { stringValue: "fixpoint" } }];
    return { trace: { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans }] }] }, logs: { logs } };
  }
}

function toOtlp(span, until) {
  const open = span.end > until;
  const attributes = Object.entries(span.attributes).map(([key, value]) => ({ key, value: typeof value === "string" ? { stringValue: value } : typeof value === "boolean" ? { boolValue: value } : { intValue: String(value) } }));
  return {
    traceId: TRACE, spanId: span.id, ...(span.parent && { parentSpanId: span.parent }), name: span.name,
    kind: { internal: 1, server: 2, client: 3 }[span.kind], startTimeUnixNano: nanos(span.at),
    ...(!open && { endTimeUnixNano: nanos(span.end) }), attributes, events: span.events,
    status: !open && span.error ? { code: 2, message: span.error } : {},
  };
}

function nanos(ms) {
  return (BigInt(BASE) * 1_000_000_000n + BigInt(Math.round(ms * 1e6))).toString();
}

export { BASE, TRACE };
