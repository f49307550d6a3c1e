//! What can be done beside drawing from a prompt: each tool through to what it gives, and the pictures that come along.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use midjourney_core::{
    client::MidjourneyClient,
    job::{Action, Capabilities, InputImage},
    testing::{FakeClient, tiny_png},
};
use serde_json::{Value, json};

use crate::session::{Memory, Session, blocks, text};

/// A finished job and the address of its second picture.
async fn finished(session: &mut Session) -> (Value, String) {
    let job = session
        .good("imagine", json!({"prompt": "a red fox --v 7"}))
        .await;
    let image = job["images"][2]["uri"].as_str().unwrap().to_owned();
    assert!(image.ends_with("/images/2"), "{image}");
    (job, image)
}

/// How many pictures came of a call, the grid included.
fn pictures(data: &Value) -> usize {
    data["images"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn every_tool_goes_through_to_its_pictures() {
    let mut session = Session::quick().await;
    let (job, image) = finished(&mut session).await;
    let grid = job["images"][0]["uri"].as_str().unwrap();
    let mask = format!("data:image/png;base64,{}", STANDARD.encode(tiny_png(255)));
    let table = [
        ("vary", json!({"image": image}), "variation", 5),
        (
            "vary",
            json!({"image": image, "strength": "subtle"}),
            "variation",
            5,
        ),
        ("upscale", json!({"image": image}), "upscale", 1),
        ("upscale", json!({"image": image, "mode": "4x"}), "upscale", 1),
        (
            "edit",
            json!({"image": image, "mode": "pan", "direction": "left"}),
            "pan",
            5,
        ),
        (
            "edit",
            json!({"image": image, "mode": "zoom", "zoom": 1.8}),
            "zoom",
            5,
        ),
        (
            "edit",
            json!({"image": image, "mode": "zoom", "zoom": "square"}),
            "zoom",
            5,
        ),
        (
            "edit",
            json!({"image": image, "mode": "inpaint", "mask": mask, "prompt": "a hat"}),
            "inpaint",
            5,
        ),
        (
            "edit",
            json!({"image": image, "mode": "remix", "prompt": "a blue fox", "strength": "subtle"}),
            "remix",
            5,
        ),
        ("edit", json!({"image": grid, "mode": "reroll"}), "reroll", 5),
        (
            "edit",
            json!({"image": image, "mode": "edit", "prompt": "at night"}),
            "edit",
            5,
        ),
        (
            "edit",
            json!({"image": image, "mode": "retexture", "prompt": "of clay"}),
            "retexture",
            5,
        ),
        (
            "blend",
            json!({"images": [image, grid], "shape": "portrait"}),
            "blend",
            5,
        ),
        ("describe", json!({"image": image}), "describe", 0),
        (
            "describe",
            json!({"prompt": "a very, very red fox in the snow"}),
            "shorten",
            0,
        ),
    ];
    for (tool, arguments, action, count) in table {
        let result = session.call(tool, arguments.clone()).await;
        let data = &result["structuredContent"];
        assert_eq!(data["status"], "completed", "{tool} {arguments}: {data}");
        assert_eq!(
            (data["action"].as_str(), pictures(data)),
            (Some(action), count),
            "{tool} {arguments}"
        );
        assert_eq!(blocks(&result, "image").len(), usize::from(count > 0), "{tool}");
        assert_eq!(blocks(&result, "resource_link").len(), count, "{tool}");
        let texts = data["texts"].as_array().map_or(0, Vec::len);
        assert_eq!(texts > 0, count == 0, "{tool}: {data}");
    }
}

#[tokio::test]
async fn every_call_that_a_finished_job_offers_can_be_made_as_it_stands() {
    let mut session = Session::quick().await;
    let (job, image) = finished(&mut session).await;
    let single = session.good("upscale", json!({"image": image})).await;
    let words = session.good("describe", json!({"image": image})).await;
    let tools = |job: &Value| {
        let mut tools: Vec<_> = job["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["tool"].as_str().unwrap().to_owned())
            .collect();
        tools.dedup();
        tools.join(" ")
    };
    assert_eq!(tools(&job), "show upscale vary edit");
    assert_eq!(tools(&single), "show upscale vary edit describe");
    assert_eq!(tools(&words), "imagine");
    for call in [&job, &single, &words]
        .iter()
        .flat_map(|job| job["actions"].as_array().unwrap())
    {
        let tool = call["tool"].as_str().unwrap();
        let done = session.good(tool, call["arguments"].clone()).await;
        assert!(tool == "show" || done["status"] == "completed", "{call}: {done}");
    }
    // The same when the job is looked at later.
    let looked = session.good("get_job", json!({"job_id": job["job_id"]})).await;
    assert_eq!(looked["actions"], job["actions"]);
}

#[tokio::test]
async fn what_takes_longer_is_running_and_the_same_key_is_the_same_job() {
    let mut session = Session::quick().await;
    let (_, image) = finished(&mut session).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fox");
    std::fs::write(&file, tiny_png(7)).unwrap();
    let file = file.to_str().unwrap();
    for (tool, mut wish) in [
        ("vary", json!({"image": image})),
        // Files and copies of our own pictures are told by their bytes, so this is the same request again.
        ("blend", json!({"images": [image, file]})),
        (
            "edit",
            json!({"image": file, "mode": "edit", "prompt": "at night", "mask": file}),
        ),
        ("imagine", json!({"prompt": "a fox", "images": [file]})),
    ] {
        wish["idempotency_key"] = json!(format!("key-{tool}"));
        wish["wait_seconds"] = json!(0);
        let first = session.good(tool, wish.clone()).await;
        assert_eq!(first["status"], "running", "{tool}: {first}");
        assert_eq!(
            first["next"],
            json!({"tool": "wait", "arguments": {"job_id": first["job_id"]}})
        );
        let again = session.good(tool, wish).await;
        assert_eq!(
            (&again["job_id"], &again["replayed"]),
            (&first["job_id"], &json!(true)),
            "{tool}"
        );
        let done = session.good("wait", first["next"]["arguments"].clone()).await;
        assert_eq!(
            (&done["status"], pictures(&done)),
            (&json!("completed"), 5),
            "{tool}"
        );
    }
}

#[tokio::test]
async fn pictures_come_along_in_every_form_and_reach_the_upstream() {
    let client = Arc::new(FakeClient::new());
    let upstream: Arc<dyn MidjourneyClient> = Arc::<FakeClient>::clone(&client);
    let mut session = Session::local(Memory::with(upstream));
    session.greet().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fox.txt");
    std::fs::write(&path, tiny_png(7)).unwrap();
    let drawn = session.good("imagine", json!({"prompt": "a fox"})).await;
    let base64 = STANDARD.encode(tiny_png(9));
    let named = json!([
        drawn["images"][1]["uri"],
        "https://a.example/b.png",
        format!("data:image/png;base64,{base64}"),
        base64,
        path.to_str().unwrap(),
    ]);
    let done = session
        .good("imagine", json!({"prompt": "a fox", "images": named}))
        .await;
    assert_eq!(done["status"], "completed", "{done}");
    let submits = client.submits();
    let sent = submits.last().unwrap();
    let bytes: Vec<_> = sent
        .images
        .iter()
        .map(|image| image.file.as_ref().map(|(bytes, _)| bytes.clone()))
        .collect();
    assert_eq!(bytes.len(), 5);
    assert!(bytes[0].is_some() && bytes[1].is_none());
    assert_eq!(
        bytes[2..],
        [Some(tiny_png(9)), Some(tiny_png(9)), Some(tiny_png(7))]
    );
    assert_eq!(
        sent.request.images[1],
        InputImage::Url("https://a.example/b.png".to_owned())
    );
    // A finished picture is a parent where the action has parents.
    session
        .good(
            "edit",
            json!({"image": drawn["images"][1]["uri"], "mode": "edit", "prompt": "at night"}),
        )
        .await;
    let sent = client.submits().pop().unwrap();
    assert_eq!((sent.request.action, sent.images.len()), (Action::Edit, 0));
    assert!(sent.parent.is_some());
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn what_is_no_picture_is_refused_by_its_argument_and_no_job_is_made() {
    let mut session = Session::quick().await;
    let (job, image) = finished(&mut session).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("notes.png"), "my secret notes").unwrap();
    std::fs::File::create(at("huge.png"))
        .unwrap()
        .set_len(21 << 20)
        .unwrap();
    let other = image.replace("/images/2", "/images/9");
    let stranger = "mj://jobs/job_019ab3c0d1e27f3a8b4c5d6e7f8091a2/images/1";
    let page = format!("data:image/png;base64,{}", STANDARD.encode("<svg/>"));
    for (tool, arguments, code, part) in [
        (
            "describe",
            json!({"image": at("notes.png")}),
            "invalid_request",
            "image: expected the bytes of a PNG",
        ),
        (
            "describe",
            json!({"image": at("huge.png")}),
            "invalid_request",
            "image: the file has 22020096 bytes",
        ),
        (
            "describe",
            json!({"image": at("none.png")}),
            "invalid_request",
            "image: the file cannot be read",
        ),
        (
            "describe",
            json!({"image": at(".")}),
            "invalid_request",
            "image: expected a file",
        ),
        (
            "imagine",
            json!({"prompt": "a fox", "images": [image, page]}),
            "invalid_request",
            "images/1: expected the bytes of a PNG",
        ),
        (
            "edit",
            json!({"image": image, "mode": "inpaint", "mask": at("notes.png")}),
            "invalid_request",
            "mask: expected the bytes of a PNG",
        ),
        (
            "blend",
            json!({"images": [image, other]}),
            "invalid_request",
            "images/1: job",
        ),
        (
            "blend",
            json!({"images": [image]}),
            "invalid_request",
            "images: blend takes 2 to 5, not 1",
        ),
        (
            "upscale",
            json!({"image": other}),
            "invalid_request",
            "image: its index: expected 1 to 4, not 9",
        ),
        (
            "vary",
            json!({"image": job["images"][0]["uri"]}),
            "invalid_request",
            "image: its index: expected 1 to 4, not 0",
        ),
        (
            "upscale",
            json!({"image": stranger}),
            "not_found",
            "there is no job",
        ),
        (
            "edit",
            json!({"image": image, "mode": "remix"}),
            "invalid_request",
            "prompt: remix needs a prompt",
        ),
        (
            "edit",
            json!({"image": image, "mode": "inpaint"}),
            "invalid_request",
            "mask: inpaint needs a mask",
        ),
        (
            "edit",
            json!({"image": image, "mode": "reroll", "mask": image}),
            "invalid_request",
            "mask: reroll takes no such thing; leave it out",
        ),
        (
            "edit",
            json!({"image": image, "mode": "remix", "prompt": "a fox --arr 3:2"}),
            "invalid_prompt",
            "Next: edit",
        ),
        (
            "describe",
            json!({"image": image, "prompt": "a fox"}),
            "invalid_request",
            "image: shorten takes no pictures",
        ),
    ] {
        let said = session.bad(tool, arguments.clone(), code).await;
        let said = said.to_lowercase();
        assert!(said.contains(&part.to_lowercase()), "{tool} {arguments}: {said}");
        assert!(said.contains("nothing was spent"), "{tool} {arguments}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
    let jobs = session.good("list_jobs", json!({})).await;
    assert_eq!(
        jobs["jobs"].as_array().unwrap().len(),
        1,
        "none of this made a job"
    );

    let wish = json!({"prompt": "a fox sim:hang", "wait_seconds": 0});
    let running = session.good("imagine", wish).await["job_id"].clone();
    let early = format!("mj://jobs/{}/images/1", running.as_str().unwrap());
    let said = session.bad("vary", json!({"image": early}), "conflict").await;
    let next = format!("Next: get_job {}", json!({"job_id": running}));
    assert!(said.contains(&next), "{said}");
}

#[tokio::test]
async fn files_are_read_for_clients_on_this_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fox.png");
    std::fs::write(&file, tiny_png(7)).unwrap();
    let wish = json!({"image": file.to_str().unwrap()});
    let mut far = Session::far(Memory::quick());
    far.greet().await;
    let said = far.bad("describe", wish.clone(), "invalid_request").await;
    assert!(said.contains("for a client on this machine"), "{said}");
    let mut near = Session::quick().await;
    near.good("describe", wish).await;
}

#[tokio::test]
async fn a_pipe_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = tokio::process::Command::new("mkfifo").arg(&pipe).status().await;
    if !made.is_ok_and(|made| made.success()) {
        return;
    }
    let mut session = Session::quick().await;
    let said = session
        .bad(
            "describe",
            json!({"image": pipe.to_str().unwrap()}),
            "invalid_request",
        )
        .await;
    assert!(said.contains("a folder or a device"), "{said}");
}

#[tokio::test]
async fn what_no_account_can_do_is_refused_before_it_costs_anything() {
    let mut session = Session::quick().await;
    let (job, image) = finished(&mut session).await;
    for wish in [
        json!({"image": image}),
        json!({"image": "https://a.example/b.png", "motion": "high"}),
    ] {
        let result = session.call("animate", wish).await;
        let data = &result["structuredContent"];
        assert_eq!(
            (&data["code"], &data["spent"], &data["next"]["tool"]),
            (&json!("upstream_rejected"), &json!("no"), &json!("account"))
        );
        assert!(
            text(&result).contains("No account here can do `animate"),
            "{result}"
        );
    }
    let offered = job["actions"].to_string();
    assert!(!offered.contains("animate"), "{offered}");
    let accounts = session.good("account", json!({})).await;
    assert!(
        !accounts["accounts"][0]["actions"]
            .as_array()
            .unwrap()
            .contains(&json!("animate low"))
    );
}

#[tokio::test]
async fn a_video_is_made_and_extended_where_the_upstream_can() {
    let client: Arc<dyn MidjourneyClient> = Arc::new(FakeClient::new());
    let mut session = Session::local(Memory::with(client));
    session.greet().await;
    let drawn = session.good("imagine", json!({"prompt": "a fox"})).await;
    let image = &drawn["images"][0]["uri"];
    let film = session
        .good(
            "animate",
            json!({"image": image, "motion": "high", "prompt": "it runs"}),
        )
        .await;
    assert_eq!(
        (&film["status"], &film["action"]),
        (&json!("completed"), &json!("animate"))
    );
    assert_eq!(&film["parent"], image);
    let extend = film["actions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|call| call["tool"] == "animate");
    let longer = session
        .good("animate", extend.unwrap()["arguments"].clone())
        .await;
    assert_eq!(longer["action"], "extend");
}

#[tokio::test]
async fn the_account_tells_what_it_can_do_and_what_waits() {
    let mut session = Session::quick().await;
    let begun = session
        .good("imagine", json!({"prompt": "a fox sim:hang", "wait_seconds": 1}))
        .await;
    let result = session.call("account", json!({})).await;
    let data = &result["structuredContent"];
    let account = &data["accounts"][0];
    assert_eq!(data["simulated"], true);
    assert_eq!(
        (&account["name"], &account["upstream"], &account["condition"]),
        (&json!("main"), &json!("simulator"), &json!("ok"))
    );
    assert_eq!((&account["pending"], &account["running"]), (&json!(0), &json!(1)));
    let actions = account["actions"].as_array().unwrap();
    assert!(actions.contains(&json!("imagine")) && actions.contains(&json!("pan left")));
    assert!(text(&result).contains("SIMULATED"), "{result}");
    session.good("cancel", json!({"job_id": begun["job_id"]})).await;
}

#[tokio::test]
async fn arguments_become_parameters_and_a_wrong_one_comes_back_corrected() {
    let mut session = Session::quick().await;
    let wish = json!({
        "prompt": "a red fox", "aspect": "3:2", "version": "7", "raw": true, "seed": 5, "no": "text", "speed": "fast",
    });
    let done = session.good("imagine", wish).await;
    let prompt = done["prompt"].as_str().unwrap();
    for part in [
        "a red fox --",
        "--ar 3:2",
        "--v 7",
        "--raw",
        "--seed 5",
        "--no text",
        "--fast",
    ] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
    assert!(done["images"][1]["width"].as_u64() > done["images"][1]["height"].as_u64());
    let result = session
        .call(
            "imagine",
            json!({"prompt": "a red fox --arr 2:3", "stylize": 100, "wait_seconds": 5}),
        )
        .await;
    let next = &result["structuredContent"]["next"];
    assert_eq!(
        next["arguments"],
        json!({"prompt": "a red fox --ar 2:3 --stylize 100", "wait_seconds": 5}),
        "{result}"
    );
    session.good("imagine", next["arguments"].clone()).await;
}

#[tokio::test]
async fn a_seed_is_asked_for_only_where_that_is_wanted() {
    let mut capabilities = Capabilities::default();
    capabilities.seed = true;
    let client: Arc<dyn MidjourneyClient> = Arc::new(FakeClient::new().with_capabilities(capabilities));
    let mut session = Session::local(Memory::with(client));
    session.greet().await;
    let job = session.good("imagine", json!({"prompt": "a fox"})).await["job_id"].clone();
    let asked = session
        .call("get_job", json!({"job_id": job, "seed": true}))
        .await;
    assert!(text(&asked).contains("Seed: not known"), "{asked}");
    let looked = session.call("get_job", json!({"job_id": job})).await;
    assert!(!text(&looked).contains("Seed"), "{looked}");

    let mut told = Session::local(Memory::drawing(64, Duration::from_millis(50)));
    told.greet().await;
    let job = told.good("imagine", json!({"prompt": "a fox --seed 42"})).await;
    let looked = told
        .good("get_job", json!({"job_id": job["job_id"], "seed": true}))
        .await;
    assert_eq!(looked["seed"], 42);
}
