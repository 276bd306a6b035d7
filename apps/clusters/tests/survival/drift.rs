//! A node dies behind its server's back: its cluster's plan says what would mend it, and does if asked.

use std::{sync::Arc, time::Instant};

use fixpoint_aws::{Aws, AwsOptions, ec2};
use fixpoint_client::{Client, Drift, Resource, Run, RunCause, RunState};
use serde_json::json;

use crate::{
    evidence,
    flow::{self, Flow, NAME, PATIENCE},
    life::World,
    moments::Moments,
};

#[test]
fn a_node_that_is_terminated_by_hand_is_drift_and_is_replaced_if_that_is_asked_for() {
    let world = World::new();
    let quiet = Arc::new(Moments::count());
    let lived = world.live(&quiet, async |client| {
        flow::carry_out(&client, &Flow::FIRST).await?;
        let before = looked(&client).await?;
        assert_eq!(drift(&before), None, "{before:#?}");
        terminate(&world, &node(&before)).await;

        let drifted = Box::pin(looked_until(&client, |drift| !drift.waits)).await?;
        let seen = drift(&drifted).unwrap();
        let steps: Vec<_> = seen.steps.iter().map(|step| step.name.as_str()).collect();
        assert!(steps.contains(&"create_instances"), "{steps:?}");
        assert_eq!(flow::runs(&client).await?.len(), 1, "it is only shown");
        evidence::check_made(&world, &Flow::FIRST).unwrap_err();

        let patch = json!({"mend": true});
        client.patch("clusters", NAME, &patch, None).await.map_err(|e| e.to_string())?;
        let mended = client.verify("clusters", NAME).await.map_err(|e| e.to_string())?;
        let mend = mended.run_id.ok_or("no run mends it")?;
        let run = ended(&client, &mend).await?;
        assert_eq!((run.state, run.cause), (RunState::Converged, Some(RunCause::Drift)));
        let after = looked(&client).await?;
        assert_eq!(drift(&after), None, "{after:#?}");
        assert_ne!(node(&after), node(&before));
        Ok::<_, String>(())
    });
    lived.unwrap().unwrap();
    evidence::check_made(&world, &Flow::FIRST).unwrap();
}

/// The cluster, once its plan was asked again.
async fn looked(client: &Client) -> Result<Resource, String> {
    Ok(client.verify("clusters", NAME).await.map_err(|error| error.to_string())?.resource)
}

/// The cluster, once its drift is like that.
async fn looked_until(
    client: &Client,
    wanted: impl Fn(&Drift) -> bool,
) -> Result<Resource, String> {
    let since = Instant::now();
    loop {
        let seen = looked(client).await?;
        match drift(&seen) {
            Some(drift) if wanted(drift) => return Ok(seen),
            _ if since.elapsed() > PATIENCE => return Err(format!("no drift: {seen:#?}")),
            _ => flow::pause().await,
        }
    }
}

async fn ended(client: &Client, run: &str) -> Result<Run, String> {
    let (mut follower, mut last) = (client.follow(run), None);
    while let Some(run) = follower.next().await {
        last = Some(run.map_err(|error| error.to_string())?);
    }
    last.ok_or_else(|| "the run has no end".to_owned())
}

fn drift(cluster: &Resource) -> Option<&Drift> {
    cluster.verification.as_ref()?.drift.as_ref()
}

/// Its first node's instance.
fn node(cluster: &Resource) -> String {
    let nodes = cluster.status["nodes"].as_object().unwrap();
    nodes.values().next().unwrap()["instance_id"].as_str().unwrap().to_owned()
}

async fn terminate(world: &World, instance: &str) {
    let sandbox = Some(world.sandbox.clone());
    let aws = Aws::connect(AwsOptions { sandbox, ..AwsOptions::default() }).await;
    let lost = ec2::TerminateInstances { instance_ids: vec![instance.to_owned()] };
    aws.ec2.send(lost).await.unwrap();
}
