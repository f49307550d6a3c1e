use std::ops::Range;

use super::*;

/// Code, prompt, span of the first finding, and the prompt after its mend.
type Row = (Code, &'static str, Range<usize>, Option<&'static str>);

/// What is refused.
const ERRORS: &[Row] = &[
    (
        Code::ValueMalformed,
        "a fox --ar 16∶ 9",
        11..18,
        Some("a fox --ar 16:9"),
    ),
    (
        Code::ValueMalformed,
        "a fox --ar 16：9",
        11..17,
        Some("a fox --ar 16:9"),
    ),
    (Code::Empty, "", 0..0, None),
    (Code::Empty, "   ", 0..3, None),
    (Code::TextMissing, "https://a.example/1.png", 0..23, None),
    (
        Code::ImageAfterText,
        "a fox https://a.example/1.png",
        6..29,
        Some("https://a.example/1.png a fox"),
    ),
    (
        Code::ImageAfterText,
        "a fox https://a.example/1.png in snow --ar 3:2",
        6..29,
        Some("https://a.example/1.png a fox in snow --ar 3:2"),
    ),
    (
        Code::ParamUnknown,
        "a fox --aspct 3:2",
        6..13,
        Some("a fox --aspect 3:2"),
    ),
    (
        Code::ParamUnknown,
        "a fox --ar16:9",
        6..14,
        Some("a fox --ar 16:9"),
    ),
    (Code::ParamUnknown, "a fox --v7", 6..10, Some("a fox --v 7")),
    (Code::ParamUnknown, "a fox --v=7", 6..11, Some("a fox --v 7")),
    (
        Code::ParamUnknown,
        "a fox --stylise 50",
        6..15,
        Some("a fox --stylize 50"),
    ),
    (
        Code::ParamUnknown,
        "a fox --chaso 10",
        6..13,
        Some("a fox --chaos 10"),
    ),
    (
        Code::ParamUnknown,
        "a fox --tile, --ar 1:1",
        6..13,
        Some("a fox --tile --ar 1:1"),
    ),
    (Code::ParamUnknown, "a fox --quux 5", 6..12, None),
    (Code::ValueMissing, "a fox --ar", 6..10, None),
    (
        Code::ValueMalformed,
        "a fox --ar 16x9",
        11..15,
        Some("a fox --ar 16:9"),
    ),
    (
        Code::ValueMalformed,
        "a fox --ar 16:9,",
        11..16,
        Some("a fox --ar 16:9"),
    ),
    (
        Code::ValueMalformed,
        "a fox --ar 16 : 9",
        11..17,
        Some("a fox --ar 16:9"),
    ),
    (
        Code::ValueMalformed,
        "a fox --ar 1.85:1",
        11..17,
        Some("a fox --ar 37:20"),
    ),
    (Code::ValueMalformed, "a fox --ar 0:1", 11..14, None),
    (
        Code::ValueOutOfRange,
        "a fox --ar 15:1",
        11..15,
        Some("a fox --ar 14:1"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --ar 1:99",
        11..15,
        Some("a fox --ar 1:14"),
    ),
    (Code::ValueMalformed, "a fox --ar wide", 11..15, None),
    (
        Code::ValueOutOfRange,
        "a fox --ar 5:1 --hd",
        11..14,
        Some("a fox --ar 4:1 --hd"),
    ),
    (
        Code::TextAfterParams,
        "a fox --ar 16:9 in the snow",
        16..27,
        Some("a fox in the snow --ar 16:9"),
    ),
    (
        Code::TextAfterParams,
        "a fox --tile in the snow",
        13..24,
        Some("a fox in the snow --tile"),
    ),
    (
        Code::ValueUnexpected,
        "a fox --tile true",
        13..17,
        Some("a fox --tile"),
    ),
    (Code::ValueUnexpected, "a fox --tile false", 13..18, Some("a fox")),
    (
        Code::ValueOutOfRange,
        "a fox --s 1001",
        10..14,
        Some("a fox --s 1000"),
    ),
    (Code::ValueOutOfRange, "a fox --s -1", 10..12, Some("a fox --s 0")),
    (
        Code::ValueMalformed,
        "a fox --s 50.5",
        10..14,
        Some("a fox --s 50"),
    ),
    (Code::ValueMalformed, "a fox --s high", 10..14, None),
    (
        Code::ValueOutOfRange,
        "a fox --chaos 101",
        14..17,
        Some("a fox --chaos 100"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --weird 3001",
        14..18,
        Some("a fox --weird 3000"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --seed 4294967296",
        13..23,
        Some("a fox --seed 4294967295"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --stop 5 --v 6",
        13..14,
        Some("a fox --stop 10 --v 6"),
    ),
    (Code::ParamNotInVersion, "a fox --stop 50", 6..15, Some("a fox")),
    (
        Code::ValueOutOfRange,
        "a fox --q 3 --v 7",
        10..11,
        Some("a fox --q 2 --v 7"),
    ),
    (
        Code::ValueMalformed,
        "a fox --q 0,5 --v 6",
        10..13,
        Some("a fox --q 0.5 --v 6"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --exp 200",
        12..15,
        Some("a fox --exp 100"),
    ),
    (Code::ParamNeeds, "a fox --iw 2", 6..12, Some("a fox")),
    (
        Code::ValueOutOfRange,
        "https://a.example/1.png a fox --iw 3.5",
        35..38,
        Some("https://a.example/1.png a fox --iw 3"),
    ),
    (
        Code::ValueOutOfRange,
        "https://a.example/1.png a fox --iw 2.5 --niji 7",
        35..38,
        Some("https://a.example/1.png a fox --iw 2 --niji 7"),
    ),
    (Code::ParamNeeds, "a fox --sw 100", 6..14, Some("a fox")),
    (Code::ValueMalformed, "a fox --sref cat", 13..16, None),
    (
        Code::ValueOutOfRange,
        "a fox --sref random --sw 1001",
        25..29,
        Some("a fox --sref random --sw 1000"),
    ),
    (
        Code::TextAfterParams,
        "a fox --sref 123 a red dog",
        17..26,
        Some("a fox a red dog --sref 123"),
    ),
    (
        Code::ParamNotInVersion,
        "a fox --sref random --v 5.2",
        6..19,
        Some("a fox --v 5.2"),
    ),
    (
        Code::ParamNotInVersion,
        "a fox --cref https://a.example/1.png",
        6..36,
        Some("a fox"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --cref https://a.example/1.png https://b.example/2.png --cw 101 --v 6",
        66..69,
        Some("a fox --cref https://a.example/1.png https://b.example/2.png --cw 100 --v 6"),
    ),
    (
        Code::ValuesTooMany,
        "a fox --oref https://a.example/1.png https://b.example/2.png --v 7",
        13..60,
        Some("a fox --oref https://a.example/1.png --v 7"),
    ),
    (
        Code::ParamNeeds,
        "--oref https://a.example/1.png --v 7",
        0..30,
        Some("--v 7"),
    ),
    (
        Code::ParamConflict,
        "a fox --oref https://a.example/1.png --v 7 --draft",
        43..50,
        Some("a fox --oref https://a.example/1.png --v 7"),
    ),
    (
        Code::ParamConflict,
        "a fox --oref https://a.example/1.png --v 7 --q 4",
        43..48,
        Some("a fox --oref https://a.example/1.png --v 7"),
    ),
    (
        Code::ValuesTooMany,
        "a fox --edit https://a/1.png https://a/2.png https://a/3.png https://a/4.png https://a/5.png",
        13..92,
        Some("a fox --edit https://a/1.png https://a/2.png https://a/3.png https://a/4.png"),
    ),
    (
        Code::ParamConflict,
        "a fox --edit https://a/1.png --tile",
        29..35,
        Some("a fox --edit https://a/1.png"),
    ),
    (
        Code::VersionUnknown,
        "a fox --v 5000",
        10..14,
        Some("a fox --v 8.2"),
    ),
    (Code::VersionUnknown, "a fox --v 9", 10..11, Some("a fox --v 8.2")),
    (Code::VersionRetired, "a fox --v 8", 10..11, Some("a fox --v 8.2")),
    (Code::ValueMissing, "a fox --v", 6..9, Some("a fox --v 8.2")),
    (Code::ValueMissing, "a fox --niji", 6..12, Some("a fox --niji 7")),
    (
        Code::VersionUnknown,
        "a fox --niji 8",
        13..14,
        Some("a fox --niji 7"),
    ),
    (
        Code::ValueMalformed,
        "a fox --v niji 6",
        10..16,
        Some("a fox --niji 6"),
    ),
    (
        Code::ParamConflict,
        "a fox --v 7 --niji 6",
        12..20,
        Some("a fox --v 7"),
    ),
    (
        Code::ParamConflict,
        "a fox --fast --relax",
        13..20,
        Some("a fox --fast"),
    ),
    (
        Code::ParamConflict,
        "a fox --stealth --public",
        16..24,
        Some("a fox --stealth"),
    ),
    (Code::ParamConflict, "a fox --hd --sd", 11..15, Some("a fox --hd")),
    (
        Code::ParamNotInVersion,
        "a fox --hd --v 7",
        6..10,
        Some("a fox --v 7"),
    ),
    (
        Code::ParamConflict,
        "{a, b} fox --relax",
        11..18,
        Some("{a, b} fox"),
    ),
    (
        Code::ParamConflict,
        "a fox --r 5 --relax",
        12..19,
        Some("a fox --r 5"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --r 41",
        10..12,
        Some("a fox --r 40"),
    ),
    (Code::ValueOutOfRange, "a fox --r 0", 10..11, Some("a fox --r 1")),
    (
        Code::ParamConflict,
        "a fox --tile --draft --v 7",
        13..20,
        Some("a fox --tile --v 7"),
    ),
    (Code::MultiPromptUnsupported, "hot:: dog", 3..5, Some("hot, dog")),
    (
        Code::MultiPromptUnsupported,
        "hot::2 dog::-.5 --v 8.2",
        3..6,
        Some("hot --no dog --v 8.2"),
    ),
    (Code::WeightSum, "hot::1 dog::-1.5 --v 6", 3..16, None),
    (Code::WeightSum, "hot::-1 dog::-1 --v 6.1", 3..15, None),
    (
        Code::ParamRepeated,
        "a fox --no red --no blue",
        15..24,
        Some("a fox --no red, blue"),
    ),
    (
        Code::ParamRepeated,
        "a fox --ar 1:1 --ar 3:2",
        15..23,
        Some("a fox --ar 3:2"),
    ),
    (Code::LoneDashes, "a fox -- ar 3:2", 6..8, Some("a fox --ar 3:2")),
    (
        Code::ValueOutOfRange,
        "a fox --ar {1:1, 99:1}",
        17..21,
        Some("a fox --ar {1:1, 14:1}"),
    ),
    (
        Code::VersionUnknown,
        "a fox --v {6, 5000}",
        14..18,
        Some("a fox --v {6, 8.2}"),
    ),
    (
        Code::ParamUnknown,
        "{a fox, a fox --tils} at dusk",
        14..20,
        Some("{a fox, a fox --tile} at dusk"),
    ),
    (
        Code::ParamUnknown,
        "a fox --{v 7, nijj 6}",
        14..18,
        Some("a fox --{v 7, niji 6}"),
    ),
    (Code::ValueOutOfRange, "a fox --style cute", 14..18, None),
    (
        Code::ValueOutOfRange,
        "a fox --style ra",
        14..16,
        Some("a fox --style raw"),
    ),
    (
        Code::ValueOutOfRange,
        "a fox --motion fast --video 1",
        15..19,
        None,
    ),
    (
        Code::ValueOutOfRange,
        "a fox --bs 3",
        11..12,
        Some("a fox --bs 2"),
    ),
    (
        Code::ValueOutOfRange,
        "https://a/1.png --video 2",
        24..25,
        Some("https://a/1.png --video 1"),
    ),
    (Code::ParamNeeds, "a fox --video 1", 6..15, Some("a fox")),
    (
        Code::ValueOutOfRange,
        "a fox --zoom 3",
        13..14,
        Some("a fox --zoom 2"),
    ),
    (Code::ParamNotInVersion, "a fox --test", 6..12, Some("a fox")),
    (
        Code::JoinedDashes,
        "a fox --ar 16:9--v 7",
        15..18,
        Some("a fox --ar 16:9 --v 7"),
    ),
    (
        Code::JoinedDashes,
        "a fox --no cat--v 7",
        14..17,
        Some("a fox --no cat --v 7"),
    ),
    (Code::ValueMalformed, "a fox --end later", 12..17, None),
    (
        Code::TooManyJobs,
        "{a,b,c,d,e,f,g,h,i,j,k,l,m,n,o} {a,b,c,d,e,f,g,h,i,j,k,l,m,n,o}",
        0..63,
        None,
    ),
    (Code::ValueOutOfRange, "a fox --ar 1{6:9, :99}", 11..22, None),
    (
        Code::JoinedDashes,
        "a fox --ar 3:2—v 7",
        14..18,
        Some("a fox --ar 3:2 —v 7"),
    ),
];

/// What passes with a word.
const WARNINGS: &[Row] = &[
    (
        Code::CommandPasted,
        " /imagine prompt: a fox",
        1..18,
        Some(" a fox"),
    ),
    (
        Code::ControlCharacter,
        "a fox\u{0}\u{7} den",
        5..7,
        Some("a fox  den"),
    ),
    (Code::ParamDisputed, "a fox --draft", 6..13, None),
    (Code::ParamNeeds, "a fox --loop", 6..12, Some("a fox")),
    (
        Code::TypedDash,
        "a fox —aspct 3:2",
        6..14,
        Some("a fox --aspect 3:2"),
    ),
    (Code::SingleDash, "a fox -ar 3:2", 6..9, Some("a fox --ar 3:2")),
    (Code::SingleDash, "a fox -v 7", 6..8, Some("a fox --v 7")),
    (Code::ParamCase, "a fox --AR 3:2", 8..10, Some("a fox --ar 3:2")),
    (Code::JoinedDashes, "a fox—ar 3:2", 5..10, Some("a fox —ar 3:2")),
    (
        Code::ImageDecorated,
        "<https://a/1.png>, a fox",
        0..18,
        Some("https://a/1.png a fox"),
    ),
    (
        Code::BraceUnmatched,
        "a {red fox --ar 3:2",
        2..3,
        Some("a \\{red fox --ar 3:2"),
    ),
    (Code::PermutationSingle, "a {red} fox", 2..7, Some("a red fox")),
    (Code::PermutationEmpty, "a {red,} fox", 7..7, None),
    (
        Code::WeightSpaced,
        "hot ::2 dog --v 6",
        3..4,
        Some("hot::2 dog --v 6"),
    ),
    (
        Code::WeightMalformed,
        "hot::2nd dog --v 6",
        3..5,
        Some("hot:: 2nd dog --v 6"),
    ),
    (Code::PartEmpty, ":: dog --v 6", 0..2, Some("dog --v 6")),
    (Code::LoneDashes, "a fox -- in the snow", 6..8, None),
    (Code::JoinedDashes, "a fox—ar 3:2", 5..10, Some("a fox —ar 3:2")),
];

fn hold(rows: &[Row], severity: Severity) {
    for (code, source, span, corrected) in rows {
        let report = look(source);
        let found = report
            .diagnostics()
            .iter()
            .next()
            .unwrap_or_else(|| panic!("{source}: nothing found"));
        assert_eq!(
            (found.severity, found.code),
            (severity, *code),
            "{source}\n{found:?}"
        );
        assert_eq!(found.span, *span, "{source}\n{found:?}");
        assert_eq!(found.corrected.as_deref(), *corrected, "{source}\n{found:?}");
        if let Some(corrected) = corrected {
            let again = look(corrected);
            let still = again
                .diagnostics()
                .iter()
                .find(|found| found.code == *code && *code != Code::TypedDash);
            assert_eq!(still, None, "{source} -> {corrected}");
        }
    }
}

#[test]
fn wrong_prompts_are_refused_with_place_and_mend() {
    hold(ERRORS, Severity::Error);
}

#[test]
fn odd_prompts_pass_with_place_and_mend() {
    hold(WARNINGS, Severity::Warning);
}

#[test]
fn every_code_is_shown_by_a_prompt() {
    let mut shown: Vec<_> = ERRORS.iter().chain(WARNINGS).map(|row| row.0).collect();
    // These need a long prompt, a plan, or company; they have tests of their own.
    shown.extend([
        Code::TooLong,
        Code::TooManyFindings,
        Code::PlanLacks,
        Code::PermutationsOverPlan,
    ]);
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn everything_is_found_at_once() {
    let report = look("a fox https://a/1.png --ar 99:1 --chaoss 5 --v 5000 —s 9999 --tile now");
    let codes: Vec<_> = report
        .diagnostics()
        .errors()
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(
        codes,
        [
            Code::ImageAfterText,
            Code::ValueOutOfRange,
            Code::ParamUnknown,
            Code::VersionUnknown,
            Code::ValueOutOfRange,
            Code::TextAfterParams
        ],
        "{}",
        report.diagnostics()
    );
    let warnings: Vec<_> = report
        .diagnostics()
        .warnings()
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(warnings, [Code::TypedDash]);
}

#[test]
fn a_warning_of_one_variant_does_not_hide_the_error_of_another() {
    let source = "{ --{\\{v 7, niji 7}--ar 16:9";
    let report = check(source, Table::builtin(), &CheckOptions::default());
    assert!(!report.is_valid(), "{}", report.diagnostics());
    assert!(report.into_valid().is_err());
}
