//! What can be turned while a development server runs: the sandbox's faults, and a look inside.

use async_trait::async_trait;
use fixpoint_aws::sandbox::{Faults, Sandbox};
use fixpoint_server::{Control, ControlError};
use serde_json::Value;

/// `/dev/faults`: how the sandbox misbehaves.
#[derive(Debug)]
pub(super) struct FaultRules(pub(super) Sandbox);

impl FaultRules {
    fn shown(&self) -> Result<Value, ControlError> {
        serde_json::to_value(self.0.faults()).map_err(refused)
    }
}

#[async_trait]
impl Control for FaultRules {
    async fn get(&self) -> Result<Value, ControlError> {
        self.shown()
    }

    async fn put(&self, value: Value) -> Result<Value, ControlError> {
        self.0.set_faults(serde_json::from_value::<Faults>(value).map_err(refused)?);
        self.shown()
    }

    async fn delete(&self) -> Result<Value, ControlError> {
        self.0.set_faults(Faults::default());
        self.shown()
    }
}

fn refused(error: serde_json::Error) -> ControlError {
    ControlError::Refused(error.to_string())
}

/// `/dev/sandbox`: what the sandbox holds.
#[derive(Debug)]
pub(super) struct Inventory(pub(super) Sandbox);

#[async_trait]
impl Control for Inventory {
    async fn get(&self) -> Result<Value, ControlError> {
        Ok(self.0.inventory())
    }
}
