//! What the servers under test provision: mills of so many parts.
//!
//! Not here: the cloud that the parts are in (`world.rs`). The surprise: a step asks whether it may
//! act after it has connected, right before its call leaves, as calls to AWS do.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
};

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Plan, Step, Steps};
use fixpoint_server::{Invalid, Kind, ResourceRef, StatusCell, may_act};

use super::world::{self, Call};

/// Mills of so many parts, in the world at an address.
#[derive(Debug)]
pub struct Mills(pub SocketAddr);

impl Kind for Mills {
    const NAME: &'static str = "mills";
    type Spec = HashMap<String, u32>;

    fn validate(&self, _: &str, _: &Self::Spec, _: Option<&Self::Spec>) -> Vec<Invalid> {
        Vec::new()
    }

    fn plan(&self, mill: &ResourceRef<'_, Self::Spec>, _: StatusCell) -> Box<dyn Plan> {
        let wanted = if mill.deleting { 0 } else { mill.spec.get("parts").copied().unwrap_or(0) };
        Box::new(Build { world: self.0, mill: mill.name.to_owned(), wanted })
    }
}

struct Build {
    world: SocketAddr,
    mill: String,
    wanted: u32,
}

#[async_trait]
impl Plan for Build {
    fn name(&self) -> &str {
        "build"
    }

    async fn create(&self, _: &Context) -> std::result::Result<Steps, BoxError> {
        let mill = || self.mill.clone();
        let there = world::call(self.world, &Call::Look { mill: mill() }, may_act).await?;
        let wanted: BTreeSet<u32> = (0..self.wanted).collect();
        let mut steps = Steps::none();
        steps.saw("parts", format!("{there:?} of {}", self.wanted));
        let make = wanted.difference(&there).map(|&part| Call::Make { mill: mill(), part });
        let take = there.difference(&wanted).map(|&part| Call::Take { mill: mill(), part });
        for call in make.chain(take) {
            steps.push(Act { world: self.world, call });
        }
        Ok(steps)
    }
}

#[derive(Debug)]
struct Act {
    world: SocketAddr,
    call: Call,
}

#[async_trait]
impl Step for Act {
    fn name(&self) -> &str {
        match self.call {
            Call::Take { .. } => "take_part",
            _ => "make_part",
        }
    }

    async fn run(&self, _: &Context) -> std::result::Result<Steps, BoxError> {
        world::call(self.world, &self.call, may_act).await?;
        Ok(Steps::none())
    }
}
