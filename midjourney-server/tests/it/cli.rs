//! The command line, as a person or a script uses it.

use std::process::Output;

use serde_json::Value;

use crate::process::Home;

fn run(home: &Home, args: &[&str]) -> Output {
    home.command().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn a_prompt_becomes_four_files_of_the_right_shape() {
    let home = Home::simulated();
    let output = run(&home, &["imagine", "a red fox in the snow --ar 3:2 --v 7"]);
    let (answer, beside) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{beside}");
    assert!(beside.contains("simulated upstream"), "{beside}");
    assert!(beside.contains("running"), "no progress in {beside}");
    let mut lines = answer.lines();
    assert!(lines.next().unwrap().starts_with("job_"), "{answer}");
    let files: Vec<_> = lines.collect();
    assert_eq!(files.len(), 4, "{answer}");
    for file in files {
        assert!(file.ends_with("simulated"), "{file}");
        let bytes = std::fs::read(file.split("  ").next().unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!(picture.width() * 2, picture.height() * 3);
    }
}

#[test]
fn the_answer_can_be_one_json_document() {
    let home = Home::simulated();
    let output = run(&home, &["--json", "imagine", "a {red, blue} fox"]);
    let answer = json(&output);
    let jobs = answer["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        assert_eq!(
            (job["status"].as_str(), job["simulated"].as_bool()),
            (Some("completed"), Some(true))
        );
        assert_eq!(job["images"].as_array().unwrap().len(), 5);
    }
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_wrong_prompt_is_shown_and_becomes_no_job() {
    let home = Home::simulated();
    let output = run(&home, &["imagine", "a fox --ar 99:1 --stilize 20"]);
    let beside = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for part in [
        "prompt.value_out_of_range",
        "prompt.param_unknown",
        "^^^^",
        "--stylize",
        "nothing was spent",
    ] {
        assert!(beside.contains(part), "no {part} in {beside}");
    }
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        json(&run(&home, &["--json", "jobs", "list"]))["jobs"],
        Value::Array(Vec::new())
    );
    let as_json = run(&home, &["--json", "imagine", "a fox --ar 99:1"]);
    let problem: Value = serde_json::from_slice(&as_json.stderr).unwrap();
    assert_eq!(problem["code"], "invalid_prompt");
}

#[test]
fn follow_ups_jobs_and_pictures_are_at_hand() {
    let home = Home::simulated();
    let made = json(&run(
        &home,
        &[
            "--json",
            "imagine",
            "a paper boat --v 7",
            "--idempotency-key",
            "boat",
        ],
    ));
    let job = made["jobs"][0]["id"].as_str().unwrap();
    // The same key is the same job.
    let again = json(&run(
        &home,
        &[
            "--json",
            "imagine",
            "a paper boat --v 7",
            "--idempotency-key",
            "boat",
        ],
    ));
    assert_eq!(again["jobs"][0]["id"], job);
    let seed = run(&home, &["jobs", "seed", job]);
    assert_eq!(text(&seed.stdout).trim(), made["jobs"][0]["seed"].to_string());
    let upscaled = json(&run(&home, &["--json", "upscale", job, "2", "--mode", "subtle"]));
    assert_eq!(upscaled["jobs"][0]["parent_job"], job);
    assert_eq!(upscaled["jobs"][0]["images"].as_array().unwrap().len(), 1);
    let varied = json(&run(&home, &["--json", "variation", job, "1"]));
    assert_eq!(varied["jobs"][0]["status"], "completed");

    let listed = json(&run(
        &home,
        &["--json", "jobs", "list", "--status", "completed", "--limit", "2"],
    ));
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 2);
    let after = listed["next"].as_str().unwrap();
    let rest = json(&run(&home, &["--json", "jobs", "list", "--after", after]));
    assert_eq!(rest["jobs"][0]["id"], job);

    let watched = text(&run(&home, &["jobs", "watch", job]).stdout);
    assert!(
        watched.lines().next().unwrap().ends_with("job.created"),
        "{watched}"
    );
    assert!(
        watched.trim_end().ends_with("100 %") && watched.contains("job.completed"),
        "{watched}"
    );

    let folder = home.path().join("out");
    let exported = run(
        &home,
        &["images", "export", job, "--to", folder.to_str().unwrap()],
    );
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 5);
    let once_more = run(
        &home,
        &["images", "export", job, "--to", folder.to_str().unwrap()],
    );
    assert!(text(&once_more.stderr).contains("not overwritten"));
}

#[test]
fn wrong_arguments_name_what_was_expected() {
    let home = Home::simulated();
    for (args, said) in [
        (&["upscale", "fox", "1"][..], "32 hex digits"),
        (&["jobs", "list", "--status", "done"], "expected one of pending"),
        (&["jobs", "list", "--limit", "0"], "1..=200"),
        (&["jobs", "list", "--after", "c1_x"], "not a cursor"),
        (&["imagine", "a fox", "--timeout", "soon"], "such as 90s or 10m"),
        (&["imagine", "a fox", "--idempotency-key", "ü"], "visible ASCII"),
        (&["imagine", "a fox", "--model", "99"], "expected one of"),
        (
            &["jobs", "resolve", "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2"],
            "--adopt",
        ),
        (&["images", "export", "fox", "--to", "x"], "img_ or job_"),
    ] {
        let output = run(&home, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let beside = text(&output.stderr);
        assert!(beside.contains(said), "{args:?}: {beside}");
    }
    let missing = run(&home, &["jobs", "show", "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("there is no job"));
}

#[test]
fn every_mistake_in_the_configuration_is_told_with_its_line() {
    let home = Home::simulated();
    std::fs::write(
        home.config(),
        "server:\n  port: 70000\n  hots: ::1\nupstream:\n  kind: midjourney-proxy\n",
    )
    .unwrap();
    let output = run(&home, &["jobs", "list"]);
    let beside = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for part in [
        ":2:",
        "server.port",
        ":3:",
        "did you mean `host`",
        "upstream.base_url",
    ] {
        assert!(beside.contains(part), "no {part} in {beside}");
    }
}

#[test]
fn a_key_is_never_shown() {
    let home = Home::against("http://127.0.0.1:9");
    for args in [
        &["doctor"][..],
        &["--json", "doctor"],
        &["imagine", "a fox", "--no-wait"],
        &["jobs", "list"],
    ] {
        let output = home
            .command()
            .args(args)
            .env("MIDJOURNEY_API_KEY", "SECRETCANARY1234567890")
            .output()
            .unwrap();
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(!all.contains("SECRETCANARY"), "{args:?}: {all}");
    }
}

#[test]
fn doctor_finds_what_is_wrong() {
    let home = Home::simulated();
    let healthy = run(&home, &["doctor"]);
    assert!(healthy.status.success(), "{}", text(&healthy.stdout));
    // A damaged database is told and left as it is.
    let database = home.data().join("midjourney.db");
    std::fs::write(&database, "this was a database once").unwrap();
    let damaged = run(&home, &["doctor"]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(
        text(&damaged.stdout).contains("left untouched"),
        "{}",
        text(&damaged.stdout)
    );
    assert_eq!(
        std::fs::read_to_string(&database).unwrap(),
        "this was a database once"
    );
    // An upstream that nobody answers for.
    let unreachable = Home::against("http://127.0.0.1:9");
    let output = json(&run(&unreachable, &["--json", "doctor"]));
    let findings = output["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|found| found["check"] == "upstream" && found["verdict"] == "fail"),
        "{output}"
    );
}

#[test]
fn serving_to_everybody_needs_to_be_said() {
    let home = Home::simulated();
    let output = run(&home, &["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("server.allow_unauthenticated"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn completions_are_for_every_shell() {
    let home = Home::simulated();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&home, &["completions", shell]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{shell}");
    }
}

fn listed(home: &Home) -> Value {
    json(&run(home, &["--json", "images", "list", "--limit", "200"]))["images"].clone()
}

#[test]
fn a_backup_is_made_checked_and_restored_by_command() {
    let home = Home::simulated();
    assert!(run(&home, &["imagine", "a red fox"]).status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    let file = file.to_str().unwrap();
    let made = json(&run(&home, &["--json", "backup", "create", file]));
    assert_eq!(
        (made["jobs"].as_u64(), made["files"].as_u64()),
        (Some(1), Some(5))
    );
    assert_eq!(json(&run(&home, &["--json", "backup", "verify", file])), made);
    let other = Home::simulated();
    let restored = run(&other, &["backup", "restore", file]);
    assert!(
        text(&restored.stdout).starts_with("restored: 1 jobs"),
        "{restored:?}"
    );
    assert_eq!(listed(&other), listed(&home));

    let again = run(&other, &["backup", "restore", file]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("name an empty place"), "{again:?}");
    let over = run(&home, &["backup", "create", file]);
    assert!(text(&over.stderr).contains("is there already"), "{over:?}");
    let none = run(&home, &["backup", "verify", env!("CARGO_MANIFEST_DIR")]);
    assert_eq!(none.status.code(), Some(1));
}

#[test]
fn everything_is_copied_to_the_stores_of_another_configuration() {
    let home = Home::simulated();
    assert!(run(&home, &["imagine", "a red fox"]).status.success());
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    let there = Home::with(&format!("storage: {{path: {pictures:?}}}"));
    let (config, data) = (there.config(), there.data());
    let (config, data) = (config.to_str().unwrap(), data.to_str().unwrap());
    let copied = run(&home, &["migrate", "--to", config, "--to-data-dir", data]);
    assert!(text(&copied.stdout).starts_with("copied: 1 jobs"), "{copied:?}");
    assert_eq!(listed(&there), listed(&home));
    assert!(pictures.exists());
    let same = run(
        &home,
        &[
            "migrate",
            "--to",
            home.config().to_str().unwrap(),
            "--to-data-dir",
            home.data().to_str().unwrap(),
        ],
    );
    assert!(text(&same.stderr).contains("name another place"), "{same:?}");
}
