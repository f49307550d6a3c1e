use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Asks `look` again and again until it gives `Ok`, and returns that.
///
/// An `Err` says what is there instead; the last one is told in the panic when `limit` has passed, which is real time
/// whatever the test does to tokio's.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that hangs must end, however its clock stands"
)]
pub async fn wait_until<T, E: Display>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(state) if begun.elapsed() >= limit => {
                panic!("waited {limit:?} in vain until {what}; at last: {state}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_what_was_waited_for() {
        let mut count = 0;
        let found = wait_until("counted to 3", Duration::from_secs(10), async || {
            count += 1;
            if count == 3 { Ok(count) } else { Err(count) }
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain until the cows come home; at last: no cow at 3")]
    async fn it_tells_the_last_state() {
        let mut count = 0;
        wait_until("the cows come home", Duration::ZERO, async || {
            count += 3;
            Err::<(), _>(format!("no cow at {count}"))
        })
        .await;
    }
}
