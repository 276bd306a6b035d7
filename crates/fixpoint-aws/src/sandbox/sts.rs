//! STS: who am I.
//!
//! Not for tokens or roles. The surprise: there is one caller, whatever keys sign the request.

use super::call::{Answer, Call};
use super::refusal::Refusal;
use super::world::ACCOUNT;

/// Answers one STS call.
pub(super) fn handle(operation: &str, call: &mut Call<'_>) -> Answer {
    if operation != "GetCallerIdentity" {
        let message = format!("Could not find operation {operation} for version 2011-06-15");
        return Err(Refusal::new("InvalidAction", message));
    }
    let mut xml = call.xml();
    xml.text("Arn", format!("arn:aws:iam::{ACCOUNT}:user/sandbox"))
        .text("UserId", "AIDASANDBOXSANDBOX000")
        .text("Account", ACCOUNT);
    Ok(xml)
}
