use super::*;
use crate::{
    clock::Timestamp,
    id::JobId,
    job::{AccountName, JobRequest, NewJob, NewJobs},
};

fn job(prompt: &str) -> Job {
    let at = "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap();
    let new = NewJob::new(JobId::from_bytes([7; 16]), JobRequest::imagine(prompt));
    let jobs = NewJobs::new(Owner::local(), AccountName::new("main"), vec![new], at);
    jobs.into_jobs().remove(0)
}

fn finds(search: &ImageSearch, prompt: &str) -> bool {
    let terms = terms(&job(prompt), &[]);
    search
        .sought()
        .iter()
        .all(|any| any.iter().any(|sought| sought.is_in(&terms)))
}

fn text(text: &str) -> ImageSearch {
    ImageSearch {
        text: text.to_owned(),
        ..ImageSearch::default()
    }
}

fn parameters(text: &str) -> ImageSearch {
    ImageSearch {
        parameters: text.to_owned(),
        ..ImageSearch::default()
    }
}

#[test]
fn words_are_found_whole_or_by_their_beginning_and_all_of_them_count() {
    let prompt = "A Red Fox's den, in the snow-storm --ar 3:2";
    for found in [
        "fox", "FOX", "red fox", "snow", "storm", "sno red", "", "den,", "a",
    ] {
        assert!(finds(&text(found), prompt), "{found}");
    }
    for missed in ["ox", "foxes", "red wolf", "ar", "3"] {
        assert!(!finds(&text(missed), prompt), "{missed}");
    }
}

#[test]
fn signs_without_spaces_between_them_are_found_by_themselves() {
    let prompt = "雪の中の赤い狐 with Schnee";
    for found in ["狐", "赤い狐", "雪", "schn 雪"] {
        assert!(finds(&text(found), prompt), "{found}");
    }
    assert!(!finds(&text("犬"), prompt));
}

#[test]
fn parameters_are_found_under_any_of_their_names() {
    let prompt = "a fox --ar 3:2 --v 7 --s 250 --raw --sref 12345 https://a.example/x.png";
    for found in [
        "--ar 3:2",
        "--aspect 3:2",
        "--v 7",
        "--version 7 --stylize 250",
        "--raw",
        "--sref",
        "--sref 12345",
    ] {
        assert!(finds(&parameters(found), prompt), "{found}");
    }
    for missed in ["--ar 2:3", "--v 6", "--tile", "--sref 1"] {
        assert!(!finds(&parameters(missed), prompt), "{missed}");
    }
    // A prompt that speaks of it is not one that has it.
    assert!(!finds(&parameters("--ar 3:2"), "parameter:ar=3:2 is:pinned"));
    let pinned = ImageSearch {
        pinned: true,
        ..ImageSearch::default()
    };
    assert!(!finds(&pinned, "is:pinned pinned"));
}

#[test]
fn days_are_found_from_one_to_another() {
    let day = |text: &str| Some(text.parse().unwrap());
    for (from, to, found) in [
        (None, None, true),
        (day("2026-11-24"), None, true),
        (day("2026-11-25"), None, false),
        (None, day("2026-11-24"), true),
        (None, day("2026-11-23"), false),
        (day("2026-11-01"), day("2026-11-30"), true),
        (day("2026-01-01"), day("2026-12-31"), true),
        (day("2025-02-03"), day("2027-04-05"), true),
        (day("2026-11-30"), day("2026-11-01"), false),
    ] {
        let search = ImageSearch {
            from,
            to,
            ..ImageSearch::default()
        };
        assert_eq!(finds(&search, "a fox"), found, "{from:?} {to:?}");
    }
}

#[test]
fn a_span_of_days_is_said_in_few_terms_and_says_each_day_once() {
    let day = |text: &str| text.parse::<Day>().unwrap();
    let shown = |from: &str, to: &str| -> Vec<String> {
        let terms = days(Some(day(from)), Some(day(to)));
        terms.iter().map(ToString::to_string).collect()
    };
    assert_eq!(shown("2024-02-29", "2024-02-29"), ["day:2024-02-29"]);
    assert_eq!(
        shown("2024-11-30", "2027-01-02"),
        [
            "day:2024-11-30",
            "month:2024-12",
            "year:2025",
            "year:2026",
            "day:2027-01-01",
            "day:2027-01-02"
        ]
    );
    assert!(days(None, None).len() < 300);
    assert_eq!(shown("2027-01-01", "2026-01-01"), ["day:never"]);
}

#[test]
fn terms_hold_nothing_that_a_store_could_stumble_over() {
    let odd = "quote \" and ' and \\ and \0 and *^() — ﬁ \u{1f98a} --sref \"x' y\" --no a, b";
    for term in terms(&job(odd), &[]) {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, ':' | '=' | '.' | '-' | '_');
        assert!(
            term.as_str().chars().all(plain) && !term.as_str().is_empty(),
            "{term}"
        );
        assert!(term.as_str().len() <= MAX_TERM + 16, "{term}");
    }
    let long = terms(&job(&"x".repeat(5_000)), &[]);
    assert!(long.iter().all(|term| term.as_str().len() <= MAX_TERM + 16));
}

#[test]
fn a_place_survives_its_cursor() {
    let shelf = Shelf { job: 12, image: 3 };
    assert_eq!(Shelf::behind(shelf.cursor()), shelf);
    for (place, after) in [
        ((11, 0), true),
        ((12, 4), true),
        ((12, 3), false),
        ((12, 2), false),
        ((13, 9), false),
    ] {
        let place = Shelf {
            job: place.0,
            image: place.1,
        };
        assert_eq!(place.comes_after(shelf), after, "{place:?}");
    }
}
