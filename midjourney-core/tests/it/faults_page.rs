//! Every test that `docs/faults.md` names is there.

use std::{fs, path::Path};

/// Where the tests of a module may be.
const PLACES: [&str; 10] = [
    "midjourney-core/tests/it/{}.rs",
    "midjourney-server/tests/it/{}.rs",
    "midjourney-storage/tests/it/{}.rs",
    "midjourney-core/src/testing/{}.rs",
    "midjourney-core/src/{}/tests.rs",
    "midjourney-core/src/net/{}.rs",
    "midjourney-core/src/webhook/{}.rs",
    "midjourney-server/src/http/{}.rs",
    "midjourney-storage/src/{}.rs",
    "midjourney-storage/src/{}/tests.rs",
];

#[test]
fn the_page_of_faults_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let names: Vec<_> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once("::"))
        .collect();
    assert!(names.len() > 30, "only {} tests are named", names.len());
    for (module, test) in names {
        let found = PLACES.iter().any(|place| {
            let file = root.join(place.replace("{}", module));
            fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {test}(")))
        });
        assert!(found, "there is no test {module}::{test}");
    }
}
