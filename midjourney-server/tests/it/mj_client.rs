//! A third party's client, which knows the proxy and nothing of us, against the program as it is shipped.

use std::process::Command;

use crate::process::Home;

#[test]
fn a_client_of_the_proxy_works_when_it_is_pointed_here() {
    let home = Home::simulated();
    let server = home.serve();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/mj_proxy_client.py");
    let run = Command::new("python3")
        .args([script, &server.url])
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .output()
        .expect("this test needs python3 on the PATH");
    let (told, faults) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success(), "{told}\n{faults}");
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    for (line, begin) in lines
        .iter()
        .zip(["IMAGINE 100%", "UPSCALE 100%", "VARIATION 100%", "2 tasks"])
    {
        assert!(line.starts_with(begin), "{told}");
    }
}
