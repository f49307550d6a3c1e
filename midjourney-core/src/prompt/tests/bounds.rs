use super::super::template::Template;
use super::*;

/// No byte is looked at more often than this, whatever the prompt.
pub(super) const PER_BYTE: usize = 32;

#[test]
fn hostile_repetition_stays_linear() {
    let pieces = [
        "{",
        "}",
        "{}",
        "{a,",
        "\\{",
        "\\",
        "\\\\",
        "::",
        ":",
        "::-",
        "::1",
        "::.",
        "::1.",
        " ::",
        "--",
        " --",
        "--a",
        " --ar",
        "—",
        " —",
        "—ar ",
        " —v",
        "-",
        " -ar",
        "https://",
        " https://a",
        "a--ar",
        ",",
        "{,",
        "{a,b}",
        "{ ",
        " }",
        "\u{feff}",
        "--no ",
        "--sref ",
        "<",
        "<https://>",
        "🦊",
        "a--no--no",
        "1",
        "::11111",
        "-1",
    ];
    for piece in pieces {
        for count in [1_000, 100_000] {
            let source = piece.repeat(count);
            let prompt = Prompt::parse(&source);
            assert_eq!(prompt.as_written(), source);
            let most = PER_BYTE * source.len() + 64;
            assert!(
                prompt.steps() <= most,
                "{piece:?} x {count}: {} steps, {most} allowed",
                prompt.steps()
            );
        }
    }
}

#[test]
fn deep_nesting_needs_no_stack() {
    let depth = 100_000;
    let source = format!("{}fox{}", "{".repeat(depth), "}".repeat(depth));
    let prompt = Prompt::parse(&source);
    assert_eq!(prompt.permutations(), 1);
    assert_eq!(prompt.variant(0).text, "fox");
    assert_eq!(prompt.canonical(Table::builtin()), source);
    assert!(!look(&source).is_valid());
}

#[test]
fn unpaired_braces_make_few_groups() {
    assert_eq!(Prompt::parse(&"{".repeat(100_000)).permutations(), 1);
    assert!(Template::parse(&"{".repeat(100_000)).groups().is_empty());
}

#[test]
fn counting_saturates_before_anything_is_expanded() {
    let source = "{a,b,c,d,e,f,g,h} ".repeat(400);
    let report = look(&source);
    assert_eq!(report.permutations(), u64::MAX);
    let codes: Vec<_> = report
        .diagnostics()
        .errors()
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(codes, [Code::TooManyJobs]);
}

#[test]
fn findings_are_bounded_and_errors_push_in() {
    let source = format!("{} --xyz", "a ::b ".repeat(500));
    let report = look(&source);
    assert!(report.diagnostics().iter().count() <= 202);
    assert!(
        report
            .diagnostics()
            .errors()
            .iter()
            .any(|found| found.code == Code::ParamUnknown)
    );
    assert!(
        report
            .diagnostics()
            .errors()
            .iter()
            .any(|found| found.code == Code::TooManyFindings)
    );
}

#[test]
fn the_length_is_counted_in_characters() {
    assert!(look(&"猫".repeat(8192)).is_valid());
    let long = "猫".repeat(8193);
    let report = look(&long);
    let found = &report.diagnostics().errors()[0];
    assert_eq!(
        (found.code, found.span.clone()),
        (Code::TooLong, 3 * 8192..3 * 8193)
    );
    assert!(
        !check(
            "a red fox",
            Table::builtin(),
            &CheckOptions::default().characters(8)
        )
        .is_valid()
    );
}

#[test]
fn jobs_are_bounded_with_repeats() {
    assert_eq!(look("{a, b} fox --r 40").jobs(), 80);
    assert!(look("{a, b, c, d, e} fox --r 40").is_valid());
    let report = look("{a, b, c, d, e, f} fox --r 40");
    assert_eq!(report.jobs(), 240);
    assert_eq!(report.diagnostics().errors()[0].code, Code::TooManyJobs);
    let own = check("{a, b} fox", Table::builtin(), &CheckOptions::default().jobs(1));
    assert_eq!(own.diagnostics().errors()[0].code, Code::TooManyJobs);
    let refused = look("{a, b} fox --r 3")
        .into_valid()
        .unwrap()
        .expand(5)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the prompt makes 6 jobs, at most 5 are allowed"
    );
}
