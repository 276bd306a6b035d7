//! What the server provisions under sustained load: plants of a size, in a cloud that is a map.
//!
//! The shape of the work is that of clusters: a look is six calls side by side, a change is three
//! steps of one call each, and each call has its request and its answer in its span, an attempt below
//! it, and leaves only when all spans before it are on disk. Not here: AWS. The surprise: calls take
//! time on the clock but none of the processor, since AWS is another machine.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Plan, Step, Steps};
use fixpoint_server::{
    Invalid, Kind, ResourceRef, StatusCell, Verifying, may_act, may_change, store::DiskStore,
};
use fixpoint_trace::record::Recorder;
use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{Instrument, field::Empty};

use super::Result;
use crate::whole::Whole;

/// How often each plant is looked at without being asked.
const VERIFY: Duration = Duration::from_secs(600);

/// How long a call takes in the cloud.
const CALL: Duration = Duration::from_millis(30);

/// What a look asks.
const LOOKS: [&str; 6] = [
    "DescribeSites",
    "DescribeMachines",
    "DescribeLines",
    "DescribePipes",
    "DescribeValves",
    "DescribeHealth",
];

/// What a change does.
const CHANGES: [&str; 3] = ["OrderMachines", "ConnectLines", "StartMachines"];

/// Is the server, until standard input ends. Says its address on standard output.
///
/// # Errors
/// If the folder or a port cannot be had, or the server fails.
pub async fn serve(data: &Path) -> Result {
    let runs = Arc::new(DiskStore::open(data.join("runs"))?);
    let verifying = Verifying { every: Some(VERIFY), ..Verifying::default() };
    let server = Whole::start(data, runs, |server, recorder| {
        server
            .kind(Plants { cloud: Arc::new(Cloud { recorder, sizes: Mutex::default() }) })
            .verifying(verifying)
    })
    .await?;
    writeln!(io::stdout(), "{}", server.url)?;
    tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await
}

/// Plants of a size.
struct Plants {
    cloud: Arc<Cloud>,
}

/// What is wanted of a plant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Plant {
    size: u64,
}

impl Kind for Plants {
    const NAME: &'static str = super::asking::KIND;
    type Spec = Plant;

    fn validate(&self, _: &str, _: &Plant, _: Option<&Plant>) -> Vec<Invalid> {
        Vec::new()
    }

    fn plan(&self, plant: &ResourceRef<'_, Plant>, status: StatusCell) -> Box<dyn Plan> {
        let wanted = if plant.deleting { 0 } else { plant.spec.size };
        Box::new(Build {
            cloud: Arc::clone(&self.cloud),
            name: plant.name.to_owned(),
            wanted,
            status,
        })
    }
}

/// The cloud, and what holds calls back until their spans are on disk.
struct Cloud {
    recorder: Recorder,
    sizes: Mutex<HashMap<String, u64>>,
}

impl Cloud {
    fn size(&self, plant: &str) -> u64 {
        let sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.get(plant).copied().unwrap_or_default()
    }

    fn resize(&self, plant: &str, size: u64) {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.insert(plant.to_owned(), size);
    }

    async fn call(
        &self,
        method: &'static str,
        plant: &str,
        changes: bool,
    ) -> std::result::Result<(), BoxError> {
        let id = format!("{:032x}", fastrand::u128(..));
        let request = json!({"Action": method, "Filter.1.Name": "tag:plant", "Filter.1.Value.1": plant, "ClientToken": id});
        let span = tracing::info_span!(
            "call",
            otel.name = format!("Mill.{method}"),
            otel.kind = "client",
            rpc.system = "aws-api",
            rpc.service = "Mill",
            rpc.method = method,
            cloud.region = "eu-central-1",
            aws.request_id = id,
            http.response.status_code = Empty,
            fixpoint.request = %request,
            fixpoint.response = Empty,
        );
        async {
            let attempt = tracing::info_span!(
                "attempt",
                otel.kind = "client",
                fixpoint.attempt = 1,
                aws.request_id = id,
                http.response.status_code = Empty,
            );
            async {
                if changes {
                    may_change()?;
                }
                self.recorder.flush().await?;
                may_act()?;
                let _over = tokio::time::timeout(CALL, std::future::pending::<()>()).await;
                tracing::Span::current().record("http.response.status_code", 200);
                Ok::<_, BoxError>(())
            }
            .instrument(attempt)
            .await?;
            let span = tracing::Span::current();
            span.record("http.response.status_code", 200);
            span.record(
                "fixpoint.response",
                tracing::field::display(answer(plant, self.size(plant))),
            );
            Ok(())
        }
        .instrument(span)
        .await
    }
}

/// As long as an answer that describes two instances.
fn answer(plant: &str, size: u64) -> Value {
    let machine = |place: &str| {
        json!({
            "machineId": format!("m-{:017x}", fastrand::u64(..)), "plant": plant, "place": place, "size": size,
            "state": {"code": 16, "name": "running"}, "type": "r6g.large", "zone": "eu-central-1a",
            "address": "10.0.0.17", "launched": "2026-01-01T00:00:00Z",
            "tags": {"plant": plant, "fixpoint:owner": "plants", "Name": format!("{plant}-{place}")},
        })
    };
    json!({"requestId": format!("{:032x}", fastrand::u128(..)), "machines": [machine("north"), machine("south")]})
}

struct Build {
    cloud: Arc<Cloud>,
    name: String,
    wanted: u64,
    status: StatusCell,
}

#[async_trait]
impl Plan for Build {
    fn name(&self) -> &str {
        "build"
    }

    async fn create(&self, _: &Context) -> std::result::Result<Steps, BoxError> {
        let looks = LOOKS.map(|method| self.cloud.call(method, &self.name, false));
        try_join_all(looks).await?;
        let there = self.cloud.size(&self.name);
        self.status.set(json!({"size": there}));
        tracing::info!(plant = self.name, there, wanted = self.wanted, "looked at the plant");
        let mut steps = Steps::none();
        steps.saw("size", format!("{there} of {}", self.wanted));
        if there != self.wanted {
            for method in CHANGES {
                let last = Some(&method) == CHANGES.last();
                let (cloud, plant) = (Arc::clone(&self.cloud), self.name.clone());
                steps.push(Change { cloud, plant, method, size: last.then_some(self.wanted) });
            }
        }
        Ok(steps)
    }
}

/// One call, of which the last takes effect.
struct Change {
    cloud: Arc<Cloud>,
    plant: String,
    method: &'static str,
    size: Option<u64>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.plant)
    }
}

#[async_trait]
impl Step for Change {
    fn name(&self) -> &str {
        self.method
    }

    async fn run(&self, _: &Context) -> std::result::Result<Steps, BoxError> {
        self.cloud.call(self.method, &self.plant, true).await?;
        if let Some(size) = self.size {
            self.cloud.resize(&self.plant, size);
        }
        tracing::info!(plant = self.plant, "{} is done", self.method);
        Ok(Steps::none())
    }
}
