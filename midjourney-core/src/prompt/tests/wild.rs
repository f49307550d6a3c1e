use super::*;

/// Prompts as people write them: they pass, and nothing of them is lost.
const REAL: &[&str] = &[
    "a red fox in the snow --ar 3:2 --v 7",
    "portrait of an old fisherman, weathered skin, 85mm lens, f/1.8, golden hour --ar 4:5 --s 250 --raw",
    "/imagine prompt: cyberpunk street market, neon signs, rain, reflections --ar 16:9 --c 20",
    "https://cdn.discordapp.com/attachments/1/2/cat.png?ex=66&is=65&hm=ab a cat astronaut --iw 1.5 --ar 1:1",
    "<https://s.mj.run/AbCdEf> <https://s.mj.run/GhIjKl>",
    "https://a.example/one.png https://b.example/two.jpg --ar 2:3",
    "{red, green, blue} bird in a {forest, desert} --ar 3:2",
    "a naturalist illustration of a {pineapple, blueberry, rambutan, banana} bird --v 6.1",
    "cat --ar {3:2, 1:1, 2:3, 1:2} --v 6.1",
    "a fox --{v 7, niji 7}",
    "{red\\, white\\, and blue, gold} flag over a {city, small {village, town}} --s {50, 100}",
    "space:: ship --v 6.1",
    "space::2 ship::-.5 --v 5.2",
    "vibrant tulip fields::1.5 red::-.5 windmill:: --v 6",
    "girl with a sword::2 cherry blossoms::1 --niji 6",
    "still life gouache painting --no fruit, apple, pear",
    "knolling of camping gear, top-down, \"National Geographic\" style --no text, watermark, people --ar 5:4",
    "vintage poster that says \"HELLO, WORLD!\" --style raw --v 6",
    "a cozy cabin --sref random --sw 250",
    "a cozy cabin --sref 1234567 89101112::2 https://x.example/style.png::.5 --sw 50 --v 7 --sv 6",
    "editorial fashion shot --p m7123456789 --ar 9:16",
    "editorial fashion shot --p abc123x d4e5f6g::2 --s 400",
    "editorial fashion shot --p",
    "detective in the rain --cref https://x.example/hero.png --cw 60 --v 6.1",
    "my dog as a pirate --oref https://x.example/dog.png --ow 200 --v 7",
    "put a hat on the dog --edit https://x.example/dog.png https://x.example/hat.png --hd",
    "isometric tiny house, blender, pastel --tile --v 7",
    "weird machines — brass, steam, and cogs --w 1500 --exp 25",
    "a quiet lake at dawn —ar 21:9 —v 7",
    "a quiet lake at dawn –ar 21:9 ——s 50",
    "一只在雪地里的红狐狸，水墨画 --ar 3:4",
    "東京の夜、雨、ネオン、映画的 --niji 7 --ar 16:9",
    "لوحة زيتية لثعلب في الثلج --ar 1:1",
    "fox 🦊 under the aurora ✨ 👩‍🚀 floating --chaos 35",
    "A multi-line prompt:\n  a knight,\n\ta dragon,\nand a castle\n--ar 16:9\n--v 7",
    "mother-in-law's kitchen, 1970s, Kodak Portra 400 -- candid --ar 3:2",
    "50% off sale sign, cost: $9.99, #1 best-seller & more @ store; done? yes! --ar 1:1",
    "C++ logo made of wood, 3/4 view, 10:30 on the clock",
    "https://x.example/start.png the fox runs --video 1 --motion high --bs 2",
    "https://x.example/start.png --video 1 --loop",
    "a fox --seed 4294967295 --r 4 --fast",
    "a fox --draft --v 7 --turbo",
    "a fox --q 0.5 --stop 80 --v 6",
    "https://a.example/one.png a fox --niji 5 --style expressive --iw 1",
    "photo of a smiley :) and a heart <3, arrows --> everywhere",
    "path C:\\Users\\fox and a {literal\\, comma, other\\{brace\\}} --ar 1:1",
];

#[test]
fn real_prompts_pass_without_loss() {
    for source in REAL {
        let report = look(source);
        assert!(report.is_valid(), "{source}\n{}", report.diagnostics());
        assert_eq!(report.prompt().as_written(), *source);
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
        let (before, after) = (letters(source), letters(report.canonical()));
        // Canonical writing may shorten the names of parameters, never the text.
        assert!(
            after <= before && before - after <= 8,
            "{source}\n{}",
            report.canonical()
        );
        let count = report.jobs();
        let jobs = report.into_valid().unwrap().expand(count).unwrap();
        assert_eq!(u64::try_from(jobs.len()).unwrap(), count);
    }
}

#[test]
fn variants_come_in_the_order_of_the_groups() {
    assert_eq!(
        texts("{red, blue} bird in a {forest, desert} --aspect 03:2"),
        [
            "red bird in a forest --ar 3:2",
            "red bird in a desert --ar 3:2",
            "blue bird in a forest --ar 3:2",
            "blue bird in a desert --ar 3:2",
        ]
    );
    assert_eq!(
        texts("a {small {red, blue}, big} fox"),
        ["a small red fox", "a small blue fox", "a big fox"]
    );
    assert_eq!(texts("a fox --{v 7, niji 7}"), ["a fox --v 7", "a fox --niji 7"]);
    assert_eq!(
        texts("a fox --ar 1{6:9, :1}"),
        ["a fox --ar 16:9", "a fox --ar 1:1"]
    );
    assert_eq!(
        texts("{https://a/1.png, https://b/2.png} fox"),
        ["https://a/1.png fox", "https://b/2.png fox"]
    );
    assert_eq!(
        texts("a {fox --ar 1:1, cat --tile} --s 50"),
        ["a fox --ar 1:1 --s 50", "a cat --tile --s 50"]
    );
}

#[test]
fn escapes_stay_inside_their_choice() {
    assert_eq!(texts("{red\\, green, blue} fox"), ["red, green fox", "blue fox"]);
    assert_eq!(
        texts("a \\{plain\\} {brace\\}, fox}"),
        ["a \\{plain\\} brace\\}", "a \\{plain\\} fox"]
    );
    assert_eq!(texts("a {fox"), ["a {fox"]);
    assert_eq!(texts("a } {fox, cat}"), ["a } fox", "a } cat"]);
}

#[test]
fn every_repeat_is_a_job_of_its_own() {
    let jobs = jobs("{a, b} fox --r 2 --s 50");
    let seen: Vec<_> = jobs
        .iter()
        .map(|job| (job.index, job.variant, job.repeat, job.text()))
        .collect();
    assert_eq!(
        seen,
        [
            (0, 0, 0, "a fox --s 50"),
            (1, 0, 1, "a fox --s 50"),
            (2, 1, 0, "b fox --s 50"),
            (3, 1, 1, "b fox --s 50"),
        ]
    );
}

#[test]
fn typed_dashes_are_mended_with_a_word() {
    let report = look("a fox —ar 3:2 –v 7 ——s 50");
    let codes: Vec<_> = report
        .diagnostics()
        .warnings()
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(codes, [Code::TypedDash; 3]);
    assert_eq!(report.canonical(), "a fox --ar 3:2 --v 7 --s 50");
    assert_eq!(
        report.diagnostics().corrected().unwrap(),
        "a fox --ar 3:2 --v 7 --s 50"
    );
    let dash = look("a fox — red —and bold— in snow");
    assert!(dash.diagnostics().is_empty(), "{}", dash.diagnostics());
}

#[test]
fn colons_in_urls_and_values_are_no_weights() {
    let job =
        jobs("https://a.example/x::2.png a fox --sref https://b.example/y::z::2 123::.5 --v 7").remove(0);
    assert_eq!(job.image_urls(), ["https://a.example/x::2.png"]);
    assert_eq!(job.body(), "a fox");
    let sref: Vec<_> = job
        .params()
        .style_references()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(sref, ["https://b.example/y::z::2", "123::0.5"]);
    assert_eq!(
        texts("hot::dog::02 cat::-.50 --v 6"),
        ["hot:: dog::2 cat::-0.5 --v 6"]
    );
}

#[test]
fn parameters_are_typed() {
    let job = jobs(
        "https://a/1.png fox --aspect 3:2 --v 7 --chaos 10 --stylize 50 --weird 9 --q 2 --seed 5 --iw 1.5 --sref random \
         --sw 60 --sv 4 --oref https://a/2.png --ow 300 --raw --exp 5 --p m123 abc::2 --turbo --stealth --no red , blue",
    )
    .remove(0);
    let params = job.params();
    assert_eq!(
        (job.aspect(), job.version()),
        (Aspect { width: 3, height: 2 }, "7")
    );
    assert_eq!(
        (params.chaos(), params.stylize(), params.weird()),
        (Some(10), Some(50), Some(9))
    );
    assert_eq!(
        (params.quality(), params.seed(), params.image_weight()),
        (Some(2.0), Some(5), Some(1.5))
    );
    assert_eq!(
        (params.style_weight(), params.style_version()),
        (Some(60), Some(4))
    );
    assert_eq!(
        (params.omni_reference(), params.omni_weight()),
        (Some("https://a/2.png"), Some(300))
    );
    assert!(params.is_raw() && !params.is_tile() && !params.is_draft());
    assert_eq!(
        (params.speed(), params.stealth(), params.hd()),
        (Some(Speed::Turbo), Some(true), None)
    );
    assert_eq!(params.no(), ["red", "blue"]);
    assert_eq!(params.profiles().unwrap().len(), 2);
    assert_eq!(jobs("fox --p")[0].params().profiles(), Some(&[][..]));
    assert_eq!(jobs("fox --p")[0].text(), "fox --p");
    assert_eq!(jobs("fox")[0].version(), "8.2");
    assert_eq!(jobs("fox --niji 7")[0].version(), "niji 7");
    assert_eq!(jobs("fox --v 6.0")[0].text(), "fox --v 6");
}

#[test]
fn each_upstream_gets_its_own_writing() {
    let job =
        jobs("https://a/1.png a fox::2 den:: --ar 3:2 --v 6 --fast --s 50 --no red, blue --tile").remove(0);
    assert_eq!(job.render(&RenderPlan::text()).text, job.text());
    assert_eq!(
        job.render(&RenderPlan::stripped()).text,
        "https://a/1.png a fox::2 den::"
    );
    let plan = RenderPlan::text()
        .with("fast", Place::Omit)
        .with("version", Place::Field)
        .images(Place::Field);
    let rendered = job.render(&plan);
    assert_eq!(
        rendered.text,
        "a fox::2 den:: --ar 3:2 --s 50 --no red, blue --tile"
    );
    assert_eq!(rendered.images, ["https://a/1.png"]);
    let fields = job.render(&RenderPlan::fields().images(Place::Omit));
    assert_eq!(fields.text, "a fox::2 den::");
    let expected = serde_json::json!({
        "aspect": "3:2", "version": "6", "fast": true, "stylize": 50, "no": ["red", "blue"], "tile": true,
    });
    assert_eq!(serde_json::Value::Object(fields.fields), expected);
}

#[test]
fn a_report_is_readable() {
    let report = look("🦊 猫 --ar 16:99\nx");
    let shown = look("🦊 猫 --ar 1:99").diagnostics().to_string();
    assert!(!report.is_valid());
    assert_eq!(
        shown,
        "error[prompt.value_out_of_range]: `1:99` is not allowed for `--ar`\n  |\n1 | 🦊 猫 --ar 1:99\n  |            ^^^^\n  = allowed: at most 14:1 or 1:14\n  = corrected: 🦊 猫 --ar 1:14\n"
    );
    let second = look("a fox\nin snow --tils").diagnostics().to_string();
    assert!(
        second.contains("\n2 | in snow --tils\n  |         ^^^^^^\n"),
        "{second}"
    );
}

#[test]
fn a_report_is_json() {
    let json = serde_json::to_value(look("a fox --s 5000 --ar 03:2")).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(json["canonical"], "a fox --s 5000 --ar 3:2");
    assert_eq!(json["corrected"], "a fox --s 1000 --ar 03:2");
    let error = serde_json::json!({
        "severity": "error", "code": "prompt.value_out_of_range", "span": { "start": 10, "end": 14 },
        "message": "`5000` is not allowed for `--s`", "allowed": "0 to 1000",
        "fix": { "span": { "start": 10, "end": 14 }, "replacement": "1000" },
        "corrected": "a fox --s 1000 --ar 03:2",
    });
    assert_eq!(json["errors"], serde_json::json!([error]));
    let job = serde_json::to_value(jobs("a fox --ar 03:2")).unwrap();
    assert_eq!(job[0]["text"], "a fox --ar 3:2");
    assert_eq!(job[0]["params"]["aspect"], "3:2");
}

#[test]
fn plans_are_looked_at_when_known() {
    let on = |source: &str, plan| {
        let report = check(source, Table::builtin(), &CheckOptions::default().plan(plan));
        report
            .diagnostics()
            .iter()
            .map(|found| (found.severity, found.code))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        on("a fox --relax", Plan::Basic),
        [(Severity::Error, Code::PlanLacks)]
    );
    assert_eq!(on("a fox --relax", Plan::Standard), []);
    assert_eq!(
        on("a fox --stealth", Plan::Standard),
        [(Severity::Error, Code::PlanLacks)]
    );
    assert_eq!(on("a fox --stealth", Plan::Mega), []);
    assert_eq!(
        on("{a, b, c, d, e} fox", Plan::Basic),
        [(Severity::Warning, Code::PermutationsOverPlan)]
    );
    assert_eq!(on("{a, b, c, d, e} fox", Plan::Standard), []);
    let relax_video = "https://a/1.png --video 1 --relax";
    assert_eq!(
        on(relax_video, Plan::Standard),
        [(Severity::Error, Code::PlanLacks)]
    );
    assert_eq!(on(relax_video, Plan::Pro), []);
}

#[test]
fn disputed_facts_only_warn() {
    for source in [
        "a fox --q 4",
        "a fox --turbo",
        "a fox --draft",
        "a fox --weird 5 --v 8.1",
        "a fox --oref https://a/1.png --v 8.1",
        "a fox --sref random --sv 4",
        "a fox --raw --niji 7",
        "a fox --loop",
        "a fox --sref random --sw 5 --p m123",
    ] {
        let report = look(source);
        assert!(report.is_valid(), "{source}\n{}", report.diagnostics());
        assert!(!report.diagnostics().warnings().is_empty(), "{source}");
    }
}
