//! What holds for any two traces: nothing differs from itself, swapping turns the answer round,
//! and one change of a trace is told as that change and nothing else.

use proptest::prelude::*;

use super::*;

/// Any run: steps with calls, polls and like siblings; each call asks something of its own, as
/// calls do.
fn any_run() -> impl Strategy<Value = Act> {
    let call = (0_usize..6, 0_u32..1_000, prop::bool::ANY);
    let steps = prop::collection::vec((0_usize..5, prop::collection::vec(call, 0..9)), 1..7);
    steps.prop_map(|steps| {
        let mut number = 0;
        let steps = steps.into_iter().enumerate().map(|(place, (name, calls))| {
            let calls: Vec<Act> = calls
                .into_iter()
                .map(|(call, size, http)| {
                    number += 1;
                    let name = ["Run", "Create", "Tag", "Describe", "Delete", "Attach"][call];
                    let call = aws(&format!("EC2.{name}"))
                        .asks(&format!(r#"{{"Name":"part-{number}","Size":{size}}}"#))
                        .gets(&format!(r#"{{"Id":"vpc-0a1b2c3d4e5f6{number:04}","Size":{size}}}"#))
                        .says("called");
                    if http { call.over([aws("POST")]) } else { call }
                })
                .collect();
            step(["vpc", "subnet", "node", "lb", "dns"][name], calls)
                .with(semconv::STEP_KEY, format!("Step {{ place: {place} }}"))
        });
        step("run clusters", steps.collect::<Vec<_>>())
    })
}

/// The calls of a run, one after the other.
fn calls(run: &mut Act) -> Vec<&mut Act> {
    run.below.iter_mut().flat_map(|step| &mut step.below).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nothing_differs_from_itself(run in any_run()) {
        prop_assert!(diff(&run.trace(0), &run.trace(0)).is_same());
        prop_assert_eq!(told(&compared(&run, &run)), Vec::<String>::new());
    }

    #[test]
    fn swapping_turns_the_answer_round(a in any_run(), b in any_run()) {
        let (a, b) = (a.trace(0), b.trace(1));
        let there = diff(&a, &b);
        let back = diff(&b, &a);
        prop_assert_eq!(there.counts.missing, back.counts.extra);
        prop_assert_eq!(there.counts.slower, back.counts.faster);
        prop_assert_eq!(&there, &back.turned());
    }

    #[test]
    fn every_span_has_one_row(a in any_run(), b in any_run()) {
        let (a, b) = (a.trace(0), b.trace(1));
        let answer = diff(&a, &b);
        for (trace, side) in [(&a, 0), (&b, 1)] {
            let mut rows: Vec<SpanId> =
                answer.rows.iter().filter_map(|row| [row.a, row.b][side]).collect();
            let mut spans: Vec<SpanId> = trace.spans.iter().map(|span| span.span_id).collect();
            rows.sort();
            spans.sort();
            prop_assert_eq!(rows, spans);
        }
        for (at, row) in answer.rows.iter().enumerate() {
            prop_assert!(row.parent.is_none_or(|parent| parent < at), "parents come first");
        }
    }

    #[test]
    fn one_change_is_told_as_that_change(
        run in any_run(),
        place in any::<prop::sample::Index>(),
        what in 0_usize..6,
    ) {
        let mut good = run;
        prop_assume!(!calls(&mut good).is_empty());
        let mut bad = good.clone();
        let many = calls(&mut bad).len();
        let place = place.index(many);
        let mut listed = calls(&mut bad);
        let call = &mut *listed[place];
        let name = call.name.clone();
        let expected = match what {
            0 => {
                call.error = Some("Unavailable".into());
                Kind::Failed
            }
            1 => {
                call.attributes[0].1 = r#"{"Name":"another","Size":-1}"#.into();
                Kind::Changed
            }
            2 => {
                call.attributes[1].1 = r#"{"Id":null}"#.into();
                Kind::Changed
            }
            3 => {
                call.logs.push("what is this?".into());
                Kind::Changed
            }
            4 => {
                call.own = 2_000 * many as u64;
                Kind::Slower
            }
            _ => {
                call.name = "GONE".into();
                Kind::Missing
            }
        };
        if what == 5 {
            bad.below.iter_mut().for_each(|step| step.below.retain(|call| call.name != "GONE"));
        }
        let answer = compared(&good, &bad);
        prop_assert_eq!(answer.differences.len(), 1, "{:#?}", told(&answer));
        let difference = &answer.differences[0];
        prop_assert_eq!(difference.kind, expected);
        prop_assert_eq!(&difference.name, &name);
        // Spans stand in a trace in the order in which they were played.
        let nth = |trace: &Trace, id| {
            let calls = trace.spans.iter().filter(|span| span.name.starts_with("EC2."));
            calls.map(|span| Some(span.span_id)).position(|other| other == id)
        };
        prop_assert_eq!(nth(&good.trace(0), difference.a.span), Some(place));
    }
}
