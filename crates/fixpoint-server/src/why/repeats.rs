//! What reads alike but for ids is said once, with how often.
//!
//! Three machines that are refused for one reason are one reason. Not here: what counts as a cause or
//! a consequence. The surprise: the first one stays as it is, so that its span and its request id can be
//! looked up.

use fixpoint_client::{Cause, Evidence};
use fixpoint_trace::compare::label::without_ids;

/// Says what speaks for a cause, and what follows from it, once each. What reads like the cause itself
/// does not follow from it.
pub(super) fn fold(cause: &mut Cause) {
    let own = without_ids(&cause.sentence).into_owned();
    let before = cause.consequences.len();
    cause.consequences.retain(|it| without_ids(&it.sentence) != own);
    let again = before - cause.consequences.len();
    once(&mut cause.consequences, |it| &mut it.sentence);
    once(&mut cause.evidence, |it| &mut it.text);
    if again > 0 {
        let calls = if again == 1 { "call" } else { "calls" };
        let text = format!("{again} more {calls} went the same way");
        cause.evidence.push(Evidence { text, span_id: None });
    }
}

/// Folds those that read alike.
pub(super) fn once<T>(list: &mut Vec<T>, text: impl Fn(&mut T) -> &mut String) {
    let mut kept: Vec<(String, T, usize)> = Vec::with_capacity(list.len());
    for mut one in list.drain(..) {
        let alike = without_ids(text(&mut one)).into_owned();
        match kept.iter_mut().find(|known| known.0 == alike) {
            Some((_, _, times)) => *times += 1,
            None => kept.push((alike, one, 1)),
        }
    }
    list.extend(kept.into_iter().map(|(_, mut one, times)| {
        if times > 1 {
            text(&mut one).push_str(&format!(" ({times} times)"));
        }
        one
    }));
}

#[cfg(test)]
mod tests {
    use fixpoint_client::CauseKind;

    use super::*;
    use crate::why::plan;

    fn refused(id: &str) -> String {
        format!("EC2.RunInstances was refused (request id {id})")
    }

    #[test]
    fn what_reads_alike_is_said_once() {
        let failed = |sentence: &str| plan::cause(CauseKind::Failed, "EC2.RunInstances", sentence);
        let mut cause = failed(&refused("6b6c0329-83a7-4e4c-afbe-65987431c34d"));
        let ids = ["a938a2d0-2624-4adc-a487-0f21d35562cd", "4de47e99-a765-4023-af4c-3918b95007ed"];
        cause.consequences = ids.map(|id| failed(&refused(id))).into();
        cause.consequences.push(failed("step create_instances failed"));
        cause.evidence =
            ids.map(|id| Evidence { text: format!("log: {}", refused(id)), span_id: None }).into();
        fold(&mut cause);
        let told: Vec<&str> = cause.consequences.iter().map(|it| &*it.sentence).collect();
        assert_eq!(told, ["step create_instances failed"]);
        let told: Vec<&str> = cause.evidence.iter().map(|it| &*it.text).collect();
        let first = format!("log: {} (2 times)", refused(ids[0]));
        assert_eq!(told, [&*first, "2 more calls went the same way"]);
        assert_eq!(cause.sentence, refused("6b6c0329-83a7-4e4c-afbe-65987431c34d"));
    }
}
