//! Many tasks on all processors.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};

/// Does each of some tasks, with something that each thread has for itself; what they come to, in order.
pub fn side_by_side<T: Sync, R: Send, S>(
    tasks: &[T],
    own: impl Fn() -> S + Sync,
    work: impl Fn(&T, &mut S) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let until_done = || {
        let mut own = own();
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(number) else { return done };
            done.push((number, work(task, &mut own)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
        let threads: Vec<ScopedJoinHandle<_>> = (0..threads).map(|_| scope.spawn(until_done)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}
