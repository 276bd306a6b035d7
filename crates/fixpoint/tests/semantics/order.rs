//! (1) Steps run in order, depth first; a solved plan answered empty after its last step.

use std::sync::{Arc, Mutex};

use fixpoint::{Context, Scheduler, Steps};
use proptest::prelude::*;

use crate::kit::{Diary, noop, noting, once, plan, solve, step};

#[tokio::test]
async fn a_plan_with_nothing_left_is_solved_without_a_step() {
    let report = solve(&plan(|_| Ok(Steps::none()))).await.unwrap();
    assert_eq!((report.iterations, report.steps), (1, 0));
}

#[tokio::test]
async fn a_plan_is_created_again_until_its_answer_is_empty() {
    let diary = Diary::default();
    let asked = {
        let diary = diary.clone();
        plan(move |nth| {
            diary.note("create");
            Ok(if nth < 3 {
                Steps::none().with(noting(&diary, nth.to_string(), Steps::none))
            } else {
                Steps::none()
            })
        })
    };
    let report = solve(&asked).await.unwrap();
    assert_eq!(diary.lines(), ["create", "1", "create", "2", "create"]);
    assert_eq!((report.iterations, report.steps), (3, 2));
}

#[tokio::test]
async fn inner_steps_run_right_after_their_step_and_before_its_siblings() {
    let diary = Diary::default();
    let asked = {
        let diary = diary.clone();
        once(move || {
            let inner = diary.clone();
            Steps::none()
                .with(noting(&diary, "two", move || {
                    Steps::none().with(noting(&inner, "one of two", Steps::none))
                }))
                .with(noting(&diary, "one", Steps::none))
        })
    };
    let report = solve(&asked).await.unwrap();
    assert_eq!(diary.lines(), ["two", "one of two", "one"]);
    assert_eq!(report.steps, 3);
}

#[tokio::test]
async fn one_scheduler_serves_two_runs_at_once() {
    let scheduler = Scheduler::default();
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let meeting = |steps: u32| {
        let both = both.clone();
        once(move || {
            let mut all = Steps::none();
            for n in 0..steps {
                let both = both.clone();
                all.push(step(format!("{n}"), move |_| {
                    let both = both.clone();
                    async move {
                        if n == 0 {
                            both.wait().await;
                        }
                        Ok(Steps::none())
                    }
                }));
            }
            all
        })
    };
    let (three, five) = (meeting(3), meeting(5));
    let (a, b) = (Context::new(), Context::new());
    let (a, b) = tokio::join!(scheduler.execute(&three, &a), scheduler.execute(&five, &b));
    assert_eq!((a.unwrap().steps, b.unwrap().steps), (3, 5));
}

#[tokio::test]
async fn a_plan_made_of_parts_appends_what_each_part_says() {
    let part = |name: &'static str| {
        let mut steps = Steps::none().with(noop(name));
        steps.withhold(name, "not yet");
        steps.saw(name, "0 of 1");
        steps
    };
    let mut whole = part("a");
    whole.append(part("b"));
    assert_eq!((whole.len(), whole.withheld().len(), whole.seen().len()), (2, 2, 2));
    assert_eq!(whole.steps()[1].key(), "b");
}

/// A tree of steps, each named by its place in the order wanted.
#[derive(Debug, Clone)]
struct Tree(Vec<Tree>);

impl Tree {
    fn steps(&self, path: &str, diary: &Diary) -> Steps {
        let branch = |(n, tree): (usize, &Tree)| {
            let path = format!("{path}/{n}");
            let (tree, inner, diary2) = (tree.clone(), path.clone(), diary.clone());
            let step = noting(diary, path, move || tree.steps(&inner, &diary2));
            fixpoint::Step::boxed(step)
        };
        self.0.iter().enumerate().map(branch).collect()
    }

    fn depth_first(&self, path: &str, out: &mut Vec<String>) {
        for (n, tree) in self.0.iter().enumerate() {
            let path = format!("{path}/{n}");
            out.push(path.clone());
            tree.depth_first(&path, out);
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = Just(Tree(Vec::new()));
    leaf.prop_recursive(6, 64, 5, |inner| prop::collection::vec(inner, 0..5).prop_map(Tree))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_of_steps_runs_depth_first(tree in trees()) {
        let diary = Diary::default();
        let mut expected = Vec::new();
        tree.depth_first("", &mut expected);
        let steps = Mutex::new(Some(tree.steps("", &diary)));
        let asked = plan(move |_| Ok(steps.lock().unwrap().take().unwrap_or_default()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let report = runtime.block_on(solve(&asked)).unwrap();
        prop_assert_eq!(report.steps as usize, expected.len());
        prop_assert_eq!(diary.lines(), expected);
    }
}

#[tokio::test]
async fn a_plan_that_is_only_asked_answers_once_and_nothing_runs() {
    let diary = Diary::default();
    let asked = {
        let diary = diary.clone();
        plan(move |nth| {
            diary.note(format!("create {nth}"));
            match nth {
                1 => Ok(Steps::none().with(noting(&diary, "step", Steps::none))),
                2 => panic!("out of bounds"),
                _ => Err("denied".into()),
            }
        })
    };
    let (scheduler, cx) = (Scheduler::default(), Context::new());
    assert_eq!(scheduler.ask(&asked, &cx).await.unwrap().len(), 1);
    let panicked = scheduler.ask(&asked, &cx).await.unwrap_err();
    assert!(fixpoint::Chain(&panicked).to_string().contains("out of bounds"), "{panicked}");
    let failed = scheduler.ask(&asked, &cx).await.unwrap_err();
    assert!(matches!(failed, fixpoint::Error::Create { .. }), "{failed}");
    assert_eq!(diary.lines(), ["create 1", "create 2", "create 3"]);
}
