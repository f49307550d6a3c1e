//! The bytes of pictures: whole, in part, or not again.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::http_support::{Setup, send, text};

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_given_whole_in_part_or_not_again() {
    let server = Setup::new().start().await;
    let job = server.finished("a red fox").await;
    for image in job["images"].as_array().unwrap() {
        let id = text(image, "id");
        let (status, meta) = send(server.get(&format!("/images/{id}"))).await;
        assert_eq!((status, &meta), (StatusCode::OK, image));

        let place = format!("/images/{id}/content");
        let answer = server.get(&place).send().await.unwrap();
        let headers = answer.headers().clone();
        let whole = answer.bytes().await.unwrap();
        let digest: String = Sha256::digest(&whole)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let etag = format!("\"{digest}\"");
        assert_eq!(text(image, "sha256"), digest);
        assert_eq!(header(&headers, "etag"), etag);
        assert_eq!(header(&headers, "content-type"), "image/png");
        assert_eq!(header(&headers, "accept-ranges"), "bytes");
        assert_eq!(header(&headers, "content-length"), whole.len().to_string());
        assert!(header(&headers, "content-security-policy").contains("sandbox"));
        assert!(header(&headers, "cache-control").contains("immutable"));
        let name = text(image, "path").rsplit('/').next().unwrap();
        assert_eq!(
            header(&headers, "content-disposition"),
            format!("inline; filename=\"{name}\"")
        );

        let head = server.request("HEAD", &place).send().await.unwrap();
        assert_eq!(
            (head.status(), header(head.headers(), "content-length")),
            (StatusCode::OK, &*whole.len().to_string())
        );
        assert!(head.bytes().await.unwrap().is_empty());

        let fresh = server
            .get(&place)
            .header("if-none-match", format!("\"x\", {etag}"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (fresh.status(), header(fresh.headers(), "etag")),
            (StatusCode::NOT_MODIFIED, etag.as_str())
        );

        let end = whole.len();
        for (range, from, to) in [
            ("bytes=0-9".to_owned(), 0, 10),
            ("bytes=10-".to_owned(), 10, end),
            ("bytes=-7".to_owned(), end - 7, end),
            (format!("bytes=5-{}", end * 2), 5, end),
        ] {
            let request = server
                .get(&place)
                .header("range", &range)
                .header("if-range", &etag);
            let part = request.send().await.unwrap();
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            let told = format!("bytes {from}-{}/{end}", to - 1);
            assert_eq!(header(part.headers(), "content-range"), told);
            assert_eq!(part.bytes().await.unwrap(), whole.slice(from..to), "{range}");
        }
        for range in ["bytes=0-1,3-4", "lines=1-2", "bytes=9-3", "bytes=zero-"] {
            let answer = server.get(&place).header("range", range).send().await.unwrap();
            assert_eq!(
                (answer.status(), answer.bytes().await.unwrap()),
                (StatusCode::OK, whole.clone()),
                "{range}"
            );
        }
        let other = server
            .get(&place)
            .header("range", "bytes=0-1")
            .header("if-range", "\"other\"");
        assert_eq!(other.send().await.unwrap().status(), StatusCode::OK);

        let beyond = server
            .get(&place)
            .header("range", format!("bytes={end}-"))
            .send()
            .await
            .unwrap();
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(
            header(beyond.headers(), "content-range"),
            format!("bytes */{end}")
        );
        assert_eq!(
            header(beyond.headers(), "content-type"),
            "application/problem+json"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_listed_and_given_as_text() {
    use base64::Engine as _;
    let server = Setup::new().start().await;
    let jobs = [
        server.finished("a red fox").await,
        server.finished("a blue fox").await,
    ];
    let (_, all) = send(server.get("/images")).await;
    assert_eq!(all["images"].as_array().unwrap().len(), 10);
    let (_, of_one) = send(server.get(&format!("/images?job={}", text(&jobs[0], "id")))).await;
    assert_eq!(of_one["images"], jobs[0]["images"]);
    let (_, page) = send(server.get("/images?limit=4")).await;
    let (_, rest) = send(server.get(&format!("/images?after={}", text(&page, "next")))).await;
    assert_eq!(
        (rest["images"].as_array().unwrap().len(), &rest["next"]),
        (6, &json!(null))
    );

    let image = &jobs[0]["images"][1];
    let place = format!("/images/{}", text(image, "id"));
    let (_, detail) = send(server.get(&format!("{place}?format=base64"))).await;
    let bytes = server
        .get(&format!("{place}/content"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(
        text(&detail, "data"),
        base64::engine::general_purpose::STANDARD.encode(bytes)
    );
}

/// Other sizes and formats are pictures of their own: with their own tag, and in parts where that is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_given_in_other_sizes_and_formats() {
    let server = Setup::new().start().await;
    let job = server.finished("a red fox --ar 3:2").await;
    let image = &job["images"][1];
    let place = format!("/images/{}/content", text(image, "id"));
    let full = server.get(&place).send().await.unwrap();
    let full_tag = header(full.headers(), "etag").to_owned();
    let small = |side: &str| image[side].as_u64().unwrap() / 2;
    let (half_wide, half_high) = (small("width"), small("height"));
    for (wish, media_type, format) in [
        (format!("width={half_wide}"), "image/png", image::ImageFormat::Png),
        (
            format!("width={half_wide}&format=webp"),
            "image/webp",
            image::ImageFormat::WebP,
        ),
        (
            format!("width=500&height={half_high}&format=jpeg"),
            "image/jpeg",
            image::ImageFormat::Jpeg,
        ),
    ] {
        let place = format!("{place}?{wish}");
        let answer = server.get(&place).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{wish}");
        let headers = answer.headers().clone();
        let tag = header(&headers, "etag").to_owned();
        assert_eq!(header(&headers, "content-type"), media_type);
        assert_ne!(tag, full_tag);
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(header(&headers, "content-length"), bytes.len().to_string());
        let picture = image::load_from_memory_with_format(&bytes, format).unwrap();
        let size = (u64::from(picture.width()), u64::from(picture.height()));
        assert_eq!(size, (half_wide, half_high), "{wish}");

        let fresh = server
            .get(&place)
            .header("if-none-match", &tag)
            .send()
            .await
            .unwrap();
        assert_eq!(fresh.status(), StatusCode::NOT_MODIFIED);
        let part = server
            .get(&place)
            .header("range", "bytes=5-")
            .send()
            .await
            .unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.bytes().await.unwrap(), bytes.slice(5..));
    }
    // A wish that the original meets gets the original, to the byte.
    let large = server
        .get(&format!("{place}?width=4096&format=png"))
        .send()
        .await
        .unwrap();
    assert_eq!(header(large.headers(), "etag"), full_tag);

    let wish = "format=webp&metadata=true";
    let answer = server.get(&format!("{place}?{wish}")).send().await.unwrap();
    let name = header(answer.headers(), "content-disposition").to_owned();
    assert!(name.ends_with("_1.webp\""), "{name}");
    let bytes = answer.bytes().await.unwrap();
    let words = String::from_utf8_lossy(&bytes);
    assert!(words.contains("a red fox --ar 3:2") && words.contains("Midjourney (simulated)"));
    image::load_from_memory(&bytes).unwrap();

    for (wish, field, expected) in [
        ("width=0", "width", "1 to 4096"),
        ("width=4097", "width", "1 to 4096"),
        ("height=big", "height", "1 to 4096"),
        ("format=tiff", "format", "`png`, `jpeg`, `webp`"),
        ("metadata=yes", "metadata", "`true` or `false`"),
    ] {
        let (status, problem) = send(server.get(&format!("{place}?{wish}"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wish}");
        let told = problem.to_string();
        assert!(told.contains(field) && told.contains(expected), "{wish}: {told}");
    }
}

/// Callers are sent to where others hand out the pictures; what is made on request still comes from here.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_others_hand_out_are_got_there() {
    let home = crate::process::Home::with("storage: {public_base_url: \"https://cdn.example.org/mj/\"}");
    let server = home.serve();
    let client = crate::process::http_that_stays();
    let request = client
        .post(server.at("/imagine"))
        .header("prefer", "wait=60")
        .json(&json!({"prompt": "a red fox"}));
    let (_, body) = send(request).await;
    let image = &body["jobs"][0]["images"][1];
    let place = server.at(&format!("/images/{}/content", text(image, "id")));
    let sent = client.get(&place).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::TEMPORARY_REDIRECT);
    let expected = format!("https://cdn.example.org/mj/{}", text(image, "path"));
    assert_eq!(header(sent.headers(), "location"), expected);
    let small = client.get(format!("{place}?width=32")).send().await.unwrap();
    assert_eq!(small.status(), StatusCode::OK);
}

/// H7: nothing in the path reaches the file system, because only ids get through.
#[tokio::test]
async fn no_path_leads_out_of_the_store() {
    let server = Setup::idle().start().await;
    let attacks = [
        "../../../../etc/passwd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2f..%2fetc%2fpasswd",
        "..%5c..%5cwin.ini",
        "%00",
        "img_%00",
        "%c0%ae%c0%ae%c0%afetc%c0%afpasswd",
        "%2fetc%2fpasswd",
        "con",
        "nul.png",
        ".%2e/.%2e/",
        "img_..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpas",
        "....//....//etc/passwd",
        "%252e%252e%252f",
        "~root",
        "file:%2f%2f%2fetc%2fpasswd",
        "img_0000000000000000000000000000000g",
        "%ff%fe",
        "img_%F0%9F%A6%8A",
    ];
    let long = format!("img_{}", "a".repeat(300));
    for attack in attacks.into_iter().chain([long.as_str()]) {
        for path in [
            format!("/images/{attack}"),
            format!("/images/{attack}/content"),
            format!("/docs/{attack}"),
        ] {
            // A client library would tidy the path up before it sends it.
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let answer = server.raw(request.as_bytes()).await;
            let status = answer.split_whitespace().nth(1).unwrap_or_default();
            assert!(matches!(status, "400" | "404"), "{path}: {answer}");
            assert!(!answer.contains("root:"), "{path}");
        }
    }
}
