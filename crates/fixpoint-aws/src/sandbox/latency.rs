//! How long AWS takes to answer, by class of operation.
//!
//! Not for state transitions. The surprise: half of the time passes before the effect and half
//! after it, so a caller that gives up may leave an effect behind, as with the real one.

use std::time::Duration;

use super::dice::Dice;
use crate::error::is_read;

/// Draws the world time that a call takes.
///
/// The ranges are what callers in the same region usually see; the draw leans to the low end.
pub(super) fn draw(operation: &str, dice: &mut Dice) -> Duration {
    let (low, high) = match operation {
        "EC2.RunInstances" => (1_100.0, 2_600.0),
        "EC2.TerminateInstances" => (350.0, 900.0),
        "EC2.CreateVpc" | "EC2.DeleteVpc" => (300.0, 800.0),
        "ELBv2.CreateLoadBalancer" => (600.0, 1_400.0),
        "ELBv2.DeleteLoadBalancer" => (250.0, 600.0),
        "STS.GetCallerIdentity" => (25.0, 90.0),
        name => match name.split_once('.') {
            Some(("IAM", call)) if is_read(call) => (40.0, 140.0),
            Some(("IAM", _)) => (90.0, 320.0),
            Some((_, call)) if is_read(call) => (45.0, 190.0),
            _ => (110.0, 420.0),
        },
    };
    let share = dice.share();
    Duration::from_secs_f64((low + (high - low) * share * share) / 1000.0)
}
