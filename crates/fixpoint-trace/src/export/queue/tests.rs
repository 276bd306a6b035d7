//! The queue keeps order and bound, and loses nothing by a crash.

use std::fs;

use super::*;

fn open(folder: &Path, limit: u64) -> (Queue, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    (Queue::open(folder, limit, counts.clone()).unwrap(), counts)
}

/// A request that holds a number, and is counted as two records.
fn put(queue: &Queue, number: u32) {
    queue.put(&request(number), 2).unwrap();
}

fn request(number: u32) -> Vec<u8> {
    format!("request {number:04}").into_bytes()
}

fn numbers(frames: &[Frame]) -> Vec<u32> {
    let text = |frame: &Frame| String::from_utf8(frame.request.to_vec()).unwrap();
    frames.iter().map(|frame| text(frame)[8..].parse().unwrap()).collect()
}

/// Takes everything out.
fn drain(queue: &Queue) -> Vec<u32> {
    let mut all = Vec::new();
    loop {
        let frames = queue.take(100).unwrap();
        if frames.is_empty() {
            return all;
        }
        all.extend(numbers(&frames));
        queue.done(&frames).unwrap();
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.filter(|file| file.file_name() != "sent").map(|file| file.metadata().unwrap().len()).sum()
}

fn newest(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some()).max().unwrap()
}

#[test]
fn requests_stay_until_they_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, counts) = open(folder.path(), 1 << 20);
    assert!(queue.take(100).unwrap().is_empty());
    (0..9).for_each(|number| put(&queue, number));
    let frames = queue.take(30).unwrap();
    assert_eq!(numbers(&frames), [0, 1], "two of twelve bytes fit into thirty");
    assert_eq!(numbers(&queue.take(1).unwrap()), [0], "one is taken, however large");
    queue.done(&frames[..1]).unwrap();
    assert_eq!(counts.now().waiting, 16);
    assert_eq!(drain(&queue), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((counts.now().waiting, queue.ahead()), (0, 0));
}

#[test]
fn a_crash_costs_nothing_and_repeats_only_what_was_not_done() {
    let folder = tempfile::tempdir().unwrap();
    // Several requests to a file.
    let limit = 16 * 100;
    let mut expected = 0;
    for life in 0..20 {
        let (queue, counts) = open(folder.path(), limit);
        assert_eq!(counts.now().waiting, u64::from(life * 3 - expected) * 2);
        (0..3).for_each(|more| put(&queue, life * 3 + more));
        // Two are sent of three that came.
        for _ in 0..2 {
            let frames = queue.take(1).unwrap();
            assert_eq!(numbers(&frames), [expected]);
            queue.done(&frames).unwrap();
            expected += 1;
        }
        // Taken, but what became of it is not known.
        assert_eq!(numbers(&queue.take(1).unwrap()), [expected]);
    }
    let (queue, _) = open(folder.path(), limit);
    assert_eq!(drain(&queue), (expected..60).collect::<Vec<_>>());
}

#[test]
fn beyond_the_bound_the_oldest_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 16 * 60;
    let (queue, counts) = open(folder.path(), limit);
    let on_the_way = {
        put(&queue, 0);
        queue.take(1).unwrap()
    };
    for number in 1..200 {
        put(&queue, number);
        assert!(bytes_in(folder.path()) <= limit, "at {number}");
        assert_eq!(counts.now().bytes, bytes_in(folder.path()));
    }
    let waiting = counts.now().waiting;
    // What is on its way is counted by what becomes of it.
    assert_eq!(counts.now().dropped + waiting + 2, 400);
    queue.done(&on_the_way).unwrap();
    assert_eq!(counts.now().waiting, waiting);
    let left = drain(&queue);
    assert_eq!(left, (200 - left.len() as u32..200).collect::<Vec<_>>(), "the newest");
    assert_eq!(left.len() as u64 * 2, waiting);
    assert!(queue.put(&[0; 1000], 5).is_err());
    assert_eq!(counts.now().dropped + waiting + 2, 405, "larger than the queue");
}

#[test]
fn a_torn_end_is_left_out_wherever_it_is_torn() {
    let whole = tempfile::tempdir().unwrap();
    (0..3).for_each(|number| put(&open(whole.path(), 1 << 20).0, number));
    let (queue, _) = open(whole.path(), 1 << 20);
    (3..6).for_each(|number| put(&queue, number));
    let last = fs::read(newest(whole.path())).unwrap();
    for cut in 0..=last.len() {
        let path = newest(whole.path());
        fs::write(&path, &last[..cut]).unwrap();
        let (queue, counts) = open(whole.path(), 1 << 20);
        let there = 3 + cut / (last.len() / 3);
        assert_eq!(counts.now().waiting, there as u64 * 2, "cut at {cut}");
        let frames = queue.take(1 << 20).unwrap();
        assert_eq!(numbers(&frames), [0], "the first file");
    }
    let path = newest(whole.path());
    fs::write(&path, &last[..last.len() - 1]).unwrap();
    let (queue, _) = open(whole.path(), 1 << 20);
    put(&queue, 9);
    assert_eq!(drain(&queue), [0, 1, 2, 3, 4, 9]);
}

#[test]
fn damage_costs_what_is_damaged_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, counts) = open(folder.path(), 16 * 60);
    (0..6).for_each(|number| put(&queue, number));
    let first = folder.path().join("queue-00000001.otlp");
    let mut bytes = fs::read(&first).unwrap();
    // In the second of two.
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&first, bytes).unwrap();
    assert_eq!(drain(&queue), [0, 2, 3, 4, 5]);
    assert_eq!(counts.now(), super::super::Copied { dropped: 2, bytes: 48, ..counts.now() });
    assert_eq!(counts.now().waiting, 0);
}

#[test]
fn a_place_that_cannot_be_read_costs_repetition_and_not_loss() {
    let folder = tempfile::tempdir().unwrap();
    for sent in ["", "short", "twenty bytes of what", "more than twenty bytes of nonsense"] {
        let (queue, _) = open(folder.path(), 1 << 20);
        (0..3).for_each(|number| put(&queue, number));
        let frames = queue.take(1).unwrap();
        queue.done(&frames).unwrap();
        drop(queue);
        fs::write(folder.path().join("sent"), sent).unwrap();
        let (queue, _) = open(folder.path(), 1 << 20);
        assert_eq!(drain(&queue), [0, 1, 2]);
    }
}

#[test]
fn a_file_that_ends_before_what_was_sent_of_it_is_only_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, _) = open(folder.path(), 1 << 20);
    (0..3).for_each(|number| put(&queue, number));
    let frames = queue.take(30).unwrap();
    queue.done(&frames).unwrap();
    drop(queue);
    File::options().write(true).open(newest(folder.path())).unwrap().set_len(10).unwrap();
    let (queue, counts) = open(folder.path(), 1 << 20);
    assert_eq!((queue.ahead(), counts.now().waiting), (0, 0));
    put(&queue, 7);
    assert_eq!(drain(&queue), [7]);
}

/// Anything may happen in any order; what waits is what was put and is neither done nor dropped.
#[test]
fn any_course_of_events_keeps_order_and_count() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let limit = random.u64(100..4_000);
        let (mut queue, mut counts) = open(folder.path(), limit);
        let (mut next, mut done) = (0, Vec::new());
        let mut dropped = 0;
        for _ in 0..300 {
            match random.u8(..10) {
                0 => {
                    dropped += counts.now().dropped;
                    drop(queue);
                    (queue, counts) = open(folder.path(), limit);
                }
                1..=5 => {
                    put(&queue, next);
                    next += 1;
                }
                _ => {
                    let frames = queue.take(random.usize(1..80)).unwrap();
                    done.extend(numbers(&frames));
                    queue.done(&frames).unwrap();
                }
            }
            assert!(bytes_in(folder.path()) <= limit);
        }
        let waiting = counts.now().waiting;
        let left = drain(&queue);
        assert_eq!(left.len() as u64 * 2, waiting, "seed {seed}");
        done.extend(left);
        assert!(done.is_sorted_by(|a, b| a < b), "seed {seed}: {done:?}");
        dropped += counts.now().dropped;
        assert_eq!(done.len() as u64 * 2 + dropped, u64::from(next) * 2, "seed {seed}");
    }
}
