use proptest::prelude::*;

use super::super::outline::Outline;
use super::super::render::Canonical;
use super::*;

/// Text that is dense in what the grammar cares about.
fn dense() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "{", "}", ",", "\\", "::", "--", "—", "–", "-", " ", " ", "  ", "\n", "\t", "\u{0}", "\u{feff}", ".", ":",
        ]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "ar", "aspect", "v", "no", "sref", "p", "tile", "s", "stylize", "xyz", "AR", "niji", "repeat",
        ]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "https://x.y/a.png", "<https://x.y/b>", "http://", "16:9", "007", "0.50", "::2", "::-.5", "::1", "2nd",
            "fox", "猫", "🦊", " --v 6", "hot::2 dog", "random", "--ar 16:9", "—v 7", "{a, b}", "{v 7, niji 7}", "--{", "--no a,b",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![4 => dense(), 1 => any::<String>()]
}

/// What a variant means: all that canonical writing may not change.
fn meanings(prompt: &Prompt) -> Vec<String> {
    let table = Table::builtin();
    (0..prompt.permutations().min(16))
        .map(|number| {
            let variant = prompt.variant(number);
            let outline = Outline::read(&variant.text, &[], table);
            Canonical {
                source: &variant.text,
                outline: &outline,
                template: None,
                table,
            }
            .write()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn reading_keeps_every_byte(source in any_text()) {
        let prompt = Prompt::parse(&source);
        prop_assert_eq!(prompt.as_written(), &source);
    }

    #[test]
    fn canonical_writing_keeps_the_meaning(source in any_text()) {
        let prompt = Prompt::parse(&source);
        let canonical = prompt.canonical(Table::builtin());
        let again = Prompt::parse(&canonical);
        prop_assert_eq!(prompt.permutations(), again.permutations(), "{:?} -> {:?}", source, canonical);
        prop_assert_eq!(meanings(&prompt), meanings(&again), "{:?} -> {:?}", source, canonical);
    }

    #[test]
    fn canonical_writing_is_settled_at_once(source in any_text()) {
        let once = Prompt::parse(&source).canonical(Table::builtin());
        let twice = Prompt::parse(&once).canonical(Table::builtin());
        prop_assert_eq!(once, twice, "{:?}", source);
    }

    #[test]
    fn variants_have_no_permutations_left(source in any_text()) {
        for meaning in meanings(&Prompt::parse(&source)) {
            prop_assert_eq!(Prompt::parse(&meaning).permutations(), 1, "{:?} -> {:?}", source, meaning);
        }
    }

    #[test]
    fn judging_never_fails_and_its_spans_fit(source in any_text()) {
        let report = look(&source);
        for found in report.diagnostics().iter() {
            prop_assert!(source.get(found.span.clone()).is_some(), "{source:?} {found:?}");
            if let Some(fix) = &found.fix {
                prop_assert_eq!(&fix.apply(&source), &found.corrected, "{:?}", source);
                prop_assert!(found.corrected.is_some(), "{source:?} {found:?}");
            }
        }
        prop_assert!(!report.diagnostics().to_string().is_empty() || report.diagnostics().is_empty());
        prop_assert!(serde_json::to_string(&report).is_ok());
        let count = report.jobs();
        if let Ok(valid) = report.into_valid() {
            let jobs = valid.expand(count).unwrap();
            prop_assert_eq!(u64::try_from(jobs.len()).unwrap(), count);
        }
    }

    #[test]
    fn what_was_expanded_passes_again_unchanged(source in any_text()) {
        let Ok(valid) = look(&source).into_valid() else { return Ok(()) };
        for job in valid.expand(1000).unwrap() {
            let report = look(job.text());
            prop_assert_eq!(report.canonical(), job.text(), "{:?}", source);
            let again = report.into_valid().unwrap().expand(1).unwrap().remove(0);
            prop_assert_eq!(again.text(), job.text());
            prop_assert_eq!(again.params(), job.params());
            prop_assert_eq!(again.image_urls(), job.image_urls());
        }
    }

    #[test]
    fn work_grows_with_length_alone(source in any_text(), times in 1_usize..40) {
        let long = source.repeat(times);
        let steps = Prompt::parse(&long).steps();
        prop_assert!(steps <= bounds::PER_BYTE * long.len() + 64, "{steps} for {} of {source:?}", long.len());
    }
}
