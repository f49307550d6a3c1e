//! The suites against backends that are broken on purpose: the case that names the fault must fail.

#[cfg(feature = "simulator")]
mod clients;
mod deliveries;
mod images;
mod jobs;
mod keys;
mod providers;

use std::collections::BTreeSet;

use midjourney_core::testing::Case;

/// Runs one case in a task of its own and tells whether it passed.
async fn passes<S: Send + 'static>(cases: &[Case<S>], name: &str, subject: S) -> bool {
    let Some((_, run)) = cases.iter().find(|(known, _)| *known == name) else {
        unreachable!("no case is called {name}");
    };
    match tokio::spawn(run(subject)).await {
        Ok(()) => true,
        Err(error) => {
            assert!(error.is_panic(), "{name} was not cancelled");
            false
        }
    }
}

/// Every case must be the one that catches some fault; `spared` are those that no fault here is made for.
fn assert_all_bite<S>(cases: &[Case<S>], caught_by: &[&str], spared: &[&str]) {
    let known: BTreeSet<_> = cases.iter().map(|(name, _)| *name).collect();
    let biting: BTreeSet<_> = caught_by.iter().copied().collect();
    let toothless: Vec<_> = known.difference(&biting).copied().collect();
    let mut spared = spared.to_vec();
    spared.sort_unstable();
    assert_eq!(toothless, spared);
}

/// One test per fault: the reference passes the named cases, the broken backend fails each of them. Time is paused,
/// so that a case which waits for what never comes ends at once.
macro_rules! bites {
    ($suite:ident, $reference:expr, $broken:expr; $($test:ident: $fault:ident => [$($case:ident),+],)+) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                for case in [$(stringify!($case)),+] {
                    let cases = midjourney_core::testing::$suite::CASES;
                    let reference = ($reference)();
                    assert!(super::passes(cases, case, reference).await, "the reference passes {case}");
                    let broken = ($broken)(Fault::$fault);
                    assert!(!super::passes(cases, case, broken).await, "{case} bites");
                }
            }
        )+

        const CAUGHT_BY: &[&str] = &[$($(stringify!($case)),+),+];
    };
}

use bites;
