//! What can be done next, which account can do it, and pictures that come along twice.

use std::sync::Arc;

use midjourney_core::{
    accounts::{Account, Accounts, Strategy},
    client::{
        MidjourneyClient,
        simulator::{Simulator, SimulatorOptions},
    },
    engine::{EngineConfig, Parts},
    error::ErrorKind,
    gateway::{Act, Gateway, Imagine, PromptRules},
    job::{AccountName, Action, IdempotencyKey, ImageQuery, InputImage, Motion, Owner, ParentRef, Status},
    testing::{FakeClient, SeededEntropy, tiny_png},
};

use crate::given::World;

/// A gateway of this world on these accounts; the first takes what several can do.
fn gateway(world: &World, accounts: Vec<(&str, Arc<dyn MidjourneyClient>)>) -> Gateway {
    let pool = accounts
        .into_iter()
        .fold(Accounts::new(Strategy::Priority), |pool, (name, client)| {
            pool.with(Account::new(AccountName::new(name), client))
        });
    let images: Arc<_> = Arc::clone(&world.images);
    let parts = Parts {
        jobs: Arc::clone(&world.jobs),
        images,
        accounts: pool,
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::new(SeededEntropy::new(1)),
        policy: world.policy.clone(),
        callback: None,
        links: None,
        webhooks: None,
    };
    Gateway::new(parts, PromptRules::default())
}

fn simulator(world: &World) -> Arc<dyn MidjourneyClient> {
    let options = SimulatorOptions::default().with_side(16);
    Arc::new(Simulator::new(Arc::new(world.clock.clone()), options))
}

const ANIMATE: Action = Action::Animate { motion: Motion::Low };

#[tokio::test]
async fn an_action_that_the_upstream_lacks_names_the_accounts_that_have_it() {
    let world = World::new(FakeClient::new());
    let fake: Arc<dyn MidjourneyClient> = Arc::new(FakeClient::new());
    let alone = gateway(&world, vec![("draws", simulator(&world))]);
    let both = gateway(
        &world,
        vec![("draws", simulator(&world)), ("films", Arc::clone(&fake))],
    );
    let engine = both.start_engine(EngineConfig::default());
    let id = both.imagine(Imagine::new("a fox")).await.unwrap().jobs[0].id;
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);

    let follow_up = || Act::new(ANIMATE).on(ParentRef::new(id, 1));
    let link = InputImage::Url("https://a.example/b.png".to_owned());
    let fresh = || Act::new(ANIMATE).with_images(vec![link.clone()]);
    for (gateway, request, part) in [
        (&both, follow_up(), "`animate low` is up to films (fake)"),
        (&alone, follow_up(), "no account here can do `animate low`"),
        (&alone, fresh(), "no account here can do `animate low`"),
    ] {
        let error = gateway.act(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        let said = error.detail();
        assert!(
            said.contains(part) && said.ends_with("nothing was spent"),
            "{said}"
        );
    }
    let job = both.act(fresh()).await.unwrap().jobs.remove(0);
    assert_eq!(job.account, AccountName::new("films"), "who can takes it");

    let told = both.accounts().await.unwrap();
    let can = |number: usize| told[number].actions.contains(&"animate low".to_owned());
    assert_eq!(
        (told[0].upstream, told[0].simulated, can(0)),
        (Some("simulator"), true, false)
    );
    assert_eq!(
        (told[1].upstream, told[1].simulated, can(1)),
        (Some("fake"), false, true)
    );
    assert_eq!((told[0].pending, told[1].pending), (0, 1));
}

#[tokio::test]
async fn only_what_a_finished_job_allows_can_be_done_next() {
    let world = World::new(FakeClient::new());
    let gateway = gateway(&world, vec![("draws", simulator(&world))]);
    let engine = gateway.start_engine(EngineConfig::default());
    let job = gateway
        .imagine(Imagine::new("a fox"))
        .await
        .unwrap()
        .jobs
        .remove(0);
    assert!(gateway.follow_ups(&job, &[]).is_empty(), "nothing while it runs");
    let job = world.live_until_over(job.id).await;
    let images = gateway.images(&ImageQuery::of(job.id)).await.unwrap().items;
    let possible = gateway.follow_ups(&job, &images);
    drop(engine);
    for index in 1..=4 {
        assert!(possible.contains(&(Action::Edit, index)));
    }
    assert!(possible.contains(&(Action::Reroll, 0)));
    let film = |(action, _): &(Action, u8)| matches!(action, Action::Animate { .. } | Action::Extend { .. });
    assert!(!possible.iter().any(film), "the simulator makes no videos");
}

#[tokio::test]
async fn the_same_picture_of_the_same_owner_is_the_same_upload() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let keep = async |owner: &str, bytes| gateway.upload_bytes(Owner::new(owner), bytes).await;
    let first = keep("local", tiny_png(7)).await.unwrap();
    let again = keep("local", tiny_png(7)).await.unwrap();
    assert_eq!(first, again);
    assert_ne!(first.id, keep("local", tiny_png(8)).await.unwrap().id);
    assert_ne!(first.id, keep("ann", tiny_png(7)).await.unwrap().id);
    let error = keep("local", "no picture".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    // So a request that comes again with its picture is the request it was.
    let mut ids = Vec::new();
    for _ in 0..2 {
        let upload = keep("local", tiny_png(7)).await.unwrap();
        let key = IdempotencyKey::new("once").unwrap();
        let request = Imagine::new("a fox")
            .with_images(vec![InputImage::Upload(upload.id)])
            .with_key(Some(key));
        ids.push(gateway.imagine(request).await.unwrap().jobs[0].id);
    }
    assert_eq!(ids[0], ids[1]);
}
