//! The table of what each upstream can do, written from the clients themselves: `docs/upstreams.md`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fmt::Write as _, path::Path, sync::Arc};

use midjourney_core::{
    client::{
        MidjourneyClient,
        simulator::{Simulator, SimulatorOptions},
    },
    clock::SystemClock,
    job::{Action, FailureKind, JobRequest, PictureForm},
    net::{Outbound, OutboundOptions},
};

use crate::every_client::every_client;

const HEAD: &str = "\
# What each upstream can do

This page is written by a test from the clients themselves (`MEND_GOLDEN=1 cargo test -p midjourney-core --all-features
action_table`); a client that gains or loses an action fails it. *yes* means that the upstream has the action. Which of
them a finished task allows is the task's own word: an upscaled picture cannot be upscaled again everywhere, and some
versions lack some actions. What is not there is refused before anything is spent, with what is.

";

const TESTED: &str = "
How each is tested: what is sent and what answers mean, row by row after the upstream's wire facts, in
`midjourney-core/tests/it/<upstream>.rs`; the same conformance suite for all of them over real HTTP against
`midjourney simulate --dialect <upstream>` in `midjourney-server/tests/it/clients.rs`; each *yes* of an action the whole way
from our HTTP to stored pictures in `midjourney-server/tests/it/every_action.rs`; hostile answers by the fuzz target of that
name; what goes wrong, row by row, in [faults.md](faults.md).
";

async fn upstreams() -> Vec<(&'static str, Arc<dyn MidjourneyClient>)> {
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let simulator = Simulator::new(Arc::new(SystemClock), SimulatorOptions::default());
    let base = "https://gateway.invalid".parse().unwrap();
    let mut upstreams: Vec<(_, Arc<dyn MidjourneyClient>)> = vec![("simulator", Arc::new(simulator))];
    upstreams.extend(every_client(&base, &outbound).await);
    upstreams
}

const fn word(yes: bool) -> &'static str {
    if yes { "yes" } else { "-" }
}

const fn form(form: PictureForm) -> &'static str {
    match form {
        PictureForm::Either => "links or bytes",
        PictureForm::Link => "links",
        PictureForm::Bytes => "bytes",
    }
}

fn row(page: &mut String, name: &str, cells: impl Iterator<Item = &'static str>) {
    let cells: Vec<_> = cells.collect();
    writeln!(page, "| {name} | {} |", cells.join(" | ")).unwrap();
}

async fn page() -> String {
    let upstreams = upstreams().await;
    let mut page = HEAD.to_owned();
    row(&mut page, "", upstreams.iter().map(|(name, _)| *name));
    row(&mut page, "---", upstreams.iter().map(|_| "---"));
    for action in Action::ALL {
        let cells = upstreams.iter().map(|(_, client)| word(client.supports(action)));
        row(&mut page, &action.to_string(), cells);
    }
    let told: Vec<_> = upstreams
        .iter()
        .map(|(_, client)| client.capabilities())
        .collect();
    row(&mut page, "seed look-up", told.iter().map(|can| word(can.seed)));
    row(
        &mut page,
        "cancel a running task",
        told.iter().map(|can| word(can.cancel)),
    );
    row(
        &mut page,
        "calls back",
        told.iter().map(|can| word(can.callbacks)),
    );
    row(
        &mut page,
        "a lost submit can be looked up",
        told.iter().map(|can| word(can.reconcile)),
    );
    row(
        &mut page,
        "pictures are handed over as",
        told.iter().map(|can| form(can.pictures)),
    );
    row(
        &mut page,
        "masks are handed over as",
        told.iter().map(|can| form(can.mask)),
    );
    page + TESTED
}

#[tokio::test]
async fn the_action_table_is_what_the_clients_can_do() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/upstreams.md");
    let page = page().await;
    if std::env::var_os("MEND_GOLDEN").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "the clients can do something else than docs/upstreams.md says: look whether that is meant, then run\n  \
         MEND_GOLDEN=1 cargo test -p midjourney-core --all-features action_table\nand commit the page"
    );
}

/// Whoever is refused for want of masks is told of every upstream that takes them.
#[tokio::test]
async fn who_takes_no_masks_names_those_that_do() {
    let upstreams = upstreams().await;
    let (_, evolink) = upstreams.iter().find(|(name, _)| *name == "evolink").unwrap();
    for action in [Action::Inpaint, Action::Edit] {
        let refusal = evolink
            .check(&JobRequest::new(action, "a hat"), None)
            .unwrap_err();
        assert_eq!(refusal.kind, FailureKind::Unsupported);
        for (_, client) in &upstreams {
            let name = client.upstream();
            let can = upstreams
                .iter()
                .any(|(_, other)| other.upstream() == name && other.supports(action));
            // The simulator does everything, and spends nothing.
            let named = refusal.message.contains(name);
            assert_eq!(named, can && name != "simulator", "{name}: {refusal}");
        }
    }
}
