//! A kind whose cloud is a map of numbers, with knobs for what can go wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Observed, Permanent, Plan, Step, Steps, Wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Control, ControlError, Invalid, Kind, ResourceRef, StatusCell};

#[derive(Debug, Default)]
pub(super) struct World(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    /// How many bricks each toy has.
    pub(super) bricks: BTreeMap<String, u32>,
    /// How often a brick was made, ever.
    pub(super) made: u32,
    /// Makes toys wait for paint.
    pub(super) no_paint: bool,
    /// How many more bricks fail to be made.
    pub(super) failing: u32,
    /// No failure can be mended.
    pub(super) for_good: bool,
    /// Making a brick has no effect.
    pub(super) swallowed: bool,
    /// No plan can look.
    pub(super) blind: bool,
    /// Plans do not keep their promise: they act when they are asked.
    pub(super) meddling: bool,
    /// A plan's look does not end.
    pub(super) slow_to_see: bool,
    /// How many looks have begun and not ended; those that were cut off stay here.
    pub(super) looking: u32,
    /// How often each toy was looked at.
    pub(super) looks: BTreeMap<String, u32>,
    /// Making a brick takes as long as this is so.
    pub(super) stuck: bool,
}

impl World {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn bricks(&self, name: &str) -> u32 {
        self.state().bricks.get(name).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Control for World {
    async fn get(&self) -> Result<Value, ControlError> {
        Ok(json!({ "made": self.state().made }))
    }

    async fn put(&self, value: Value) -> Result<Value, ControlError> {
        let made = value["made"].as_u64().and_then(|made| u32::try_from(made).ok());
        self.state().made =
            made.ok_or_else(|| ControlError::Refused("made wants a number".to_owned()))?;
        self.get().await
    }
}

#[derive(Debug, Clone)]
pub(super) struct Toys(pub(super) Arc<World>);

/// A toy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    /// How many bricks it has.
    #[serde(default = "three")]
    bricks: u32,
    /// Its color, if it is painted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    color: Option<Color>,
    /// What stands on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    words: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Color {
    Red,
    Blue,
}

fn three() -> u32 {
    3
}

impl Kind for Toys {
    const NAME: &'static str = "toys";
    type Spec = Spec;

    fn validate(&self, name: &str, spec: &Spec, old: Option<&Spec>) -> Vec<Invalid> {
        let mut invalid = Vec::new();
        let mut wrong = |pointer: &str, detail: &str| {
            invalid.push(Invalid { pointer: pointer.to_owned(), detail: detail.to_owned() });
        };
        if spec.bricks > 10 {
            wrong("/bricks", "at most 10 fit");
        }
        if name == "panic" {
            panic!("a kind's own mistake");
        }
        if old.is_some_and(|old| old.color.is_some()) && spec.color.is_none() {
            wrong("/color", "paint does not come off");
        }
        invalid
    }

    fn plan(&self, resource: &ResourceRef<'_, Spec>, status: StatusCell) -> Box<dyn Plan> {
        Box::new(ToyPlan {
            name: resource.name.to_owned(),
            bricks: if resource.deleting { 0 } else { resource.spec.bricks },
            deleting: resource.deleting,
            world: Arc::clone(&self.0),
            status,
        })
    }
}

struct ToyPlan {
    name: String,
    bricks: u32,
    deleting: bool,
    world: Arc<World>,
    status: StatusCell,
}

#[async_trait]
impl Plan for ToyPlan {
    fn name(&self) -> &str {
        if self.deleting { "break_toy" } else { "build_toy" }
    }

    async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
        {
            let mut state = self.world.state();
            state.looking += 1;
            *state.looks.entry(self.name.clone()).or_default() += 1;
        }
        if self.world.state().slow_to_see {
            std::future::pending::<()>().await;
        }
        self.world.state().looking -= 1;
        if self.world.state().blind {
            return Err("the light is off, password=hunter2".into());
        }
        if self.world.state().meddling {
            // As a client of a cloud asks before it sends what changes something.
            crate::may_change()?;
            self.world.state().made += 100;
        }
        let there = self.world.bricks(&self.name);
        self.status.set(json!({ "bricks": there }));
        let mut steps = Steps::none();
        steps.saw("bricks", format!("{there} of {}", self.bricks));
        if self.world.state().no_paint {
            steps.withhold("bricks", "waits for paint");
            let world = Arc::clone(&self.world);
            let check = move |_| {
                let dry = world.state().no_paint;
                async move {
                    Ok(if dry { Observed::NotYet("none".to_owned()) } else { Observed::Ready })
                }
            };
            steps.push(
                Wait::until("wait_for_paint", "paint to be there", "some", check)
                    .every(Duration::from_secs(10)),
            );
            return Ok(steps);
        }
        for brick in there.min(self.bricks)..there.max(self.bricks) {
            let more = there < self.bricks;
            steps.push(Brick {
                toy: self.name.clone(),
                brick,
                more,
                world: Arc::clone(&self.world),
            });
        }
        Ok(steps)
    }
}

struct Brick {
    toy: String,
    brick: u32,
    more: bool,
    world: Arc<World>,
}

impl std::fmt::Debug for Brick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = if self.more { "lay" } else { "take" };
        write!(f, "{verb} brick {} of {}", self.brick, self.toy)
    }
}

#[async_trait]
impl Step for Brick {
    fn name(&self) -> &str {
        if self.more { "lay_brick" } else { "take_brick" }
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        // As a cloud would: something else gets its turn while this one waits for an answer.
        tokio::task::yield_now().await;
        while self.world.state().stuck {
            super::pause().await;
        }
        let mut state = self.world.state();
        if state.failing > 0 {
            state.failing -= 1;
            let cause = std::io::Error::other("the brick broke, password=hunter2");
            return Err(if state.for_good {
                Permanent::because("no brick can be laid", cause).into()
            } else {
                cause.into()
            });
        }
        if !state.swallowed {
            state.made += u32::from(self.more);
            let bricks = if self.more { self.brick + 1 } else { 0 };
            state.bricks.insert(self.toy.clone(), bricks);
        }
        tracing::info!("{self:?}");
        Ok(Steps::none())
    }
}
