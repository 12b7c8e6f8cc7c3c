//! How a test waits for what others do: it looks again and again.

use std::time::{Duration, Instant};

/// What has not come by then does not come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(300);
/// For what is tried again only once a minute.
const LONG_PATIENCE: Duration = Duration::from_secs(900);

/// What `look` finds, once it finds something.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("{what} did not come"))
}

/// The same for what is tried again only once a minute.
#[track_caller]
pub fn wait_long_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(LONG_PATIENCE, look).unwrap_or_else(|| panic!("{what} did not come"))
}

/// Waits until it is so; `otherwise` says what is instead.
#[track_caller]
pub fn wait_until(mut is_it: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    if within(PATIENCE, || is_it().then_some(())).is_none() {
        panic!("{}", otherwise());
    }
}

fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() > patience {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
