//! Which addresses are public, and which URLs are called.

use super::*;

/// What is not public of IPv4: the first and the last address of each range.
const INSIDE_V4: [(&str, &str); 15] = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
];

/// The same of IPv6, without what carries an IPv4 address in it.
const INSIDE_V6: [(&str, &str); 6] = [
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

/// Ranges of their own within those: local, discarded, translated, routed by segments, and the clouds' metadata.
const WITHIN_V6: [(&str, &str); 8] = [
    ("::1", "::1"),
    ("64:ff9b::", "64:ff9b::ffff:ffff"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("100::", "100::ffff:ffff:ffff:ffff"),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fd00:ec2::254", "fd00:ec2::254"),
];

/// The ends of a range, and the addresses next to it, which are outside.
fn edges<N: TryFrom<u128>>(first: u128, last: u128) -> ([N; 2], Vec<N>) {
    let number = |number: u128| N::try_from(number).ok();
    let inside = [first, last].map(|end| number(end).unwrap());
    let outside = [first.checked_sub(1), last.checked_add(1)];
    (inside, outside.into_iter().flatten().filter_map(number).collect())
}

/// The forms of IPv6 that carry `address` in them, but for the mapped one: translated by NAT64 (two) and by SIIT,
/// compatible, Teredo, 6to4.
fn carriers(address: Ipv4Addr) -> [Ipv6Addr; 6] {
    let low = u128::from(u32::from(address));
    let behind = |prefix: u128| Ipv6Addr::from(prefix | low);
    [
        behind(0x0064_ff9b << 96),
        behind(0x0064_ff9b_0001 << 80),
        behind(0xffff_0000 << 32),
        behind(0),
        behind(0x2001 << 112),
        Ipv6Addr::from(0x2002 << 112 | low << 80),
    ]
}

#[test]
fn every_range_ends_where_it_should() {
    let mut seen = 0;
    let mut is = |address: IpAddr, expected: bool| {
        assert_eq!(is_public(address), expected, "{address}");
        seen += 1;
    };
    for (first, last) in INSIDE_V4 {
        let number = |text: &str| u128::from(u32::from(text.parse::<Ipv4Addr>().unwrap()));
        let (inside, outside) = edges::<u32>(number(first), number(last));
        for (numbers, public) in [(&inside[..], false), (&outside[..], true)] {
            for address in numbers.iter().map(|number| Ipv4Addr::from(*number)) {
                is(address.into(), public);
                is(address.to_ipv6_mapped().into(), public);
                // Where these lead is for others to say, so they are not called whatever they carry.
                for carrier in carriers(address) {
                    is(carrier.into(), false);
                }
            }
        }
    }
    for (place, (first, last)) in INSIDE_V6.into_iter().chain(WITHIN_V6).enumerate() {
        let number = |text: &str| u128::from(text.parse::<Ipv6Addr>().unwrap());
        let (inside, outside) = edges::<u128>(number(first), number(last));
        for address in inside {
            is(Ipv6Addr::from(address).into(), false);
        }
        for address in outside {
            is(Ipv6Addr::from(address).into(), place < INSIDE_V6.len());
        }
    }
    assert!(seen > 400, "only {seen} addresses were looked at");
}

#[test]
fn what_is_known_to_be_public_is_called() {
    for text in
        "1.1.1.1 8.8.8.8 ::ffff:8.8.8.8 2001:4860:4860::8888 2606:4700:4700::1111 2003::1 3ffe::1".split(' ')
    {
        assert!(is_public(text.parse().unwrap()), "{text}");
    }
    for text in "100.100.100.200 169.254.169.254 192.0.0.192 224.0.0.1 ff02::1 fec0::1 2001:20::1".split(' ')
    {
        assert!(!is_public(text.parse().unwrap()), "{text}");
    }
}

/// Whatever stands beside it, and in whatever order.
#[test]
fn of_any_answer_to_a_name_exactly_the_public_addresses_are_kept() {
    let inside = INSIDE_V4
        .iter()
        .chain(&INSIDE_V6)
        .flat_map(|(first, last)| [*first, *last]);
    let public = ["8.8.8.8", "::ffff:1.1.1.1", "2606:4700:4700::1111"];
    let all: Vec<SocketAddr> = inside
        .chain(public)
        .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
        .collect();
    for first in &all {
        for second in &all {
            for third in &all {
                let answer = [*first, *second, *third];
                let expected: Vec<_> = answer.into_iter().filter(|one| is_public(one.ip())).collect();
                match public_only(answer.into_iter()) {
                    Ok(kept) => assert!(kept == expected && !kept.is_empty(), "{answer:?}: {kept:?}"),
                    Err(blocked) => assert!(
                        expected.is_empty() && blocked.address == first.ip(),
                        "{answer:?}: {blocked}"
                    ),
                }
            }
        }
    }
    assert_eq!(public_only(std::iter::empty()), Ok(Vec::new()));
}

#[test]
fn a_redirect_leads_on_from_where_it_came_and_never_from_https_to_http() {
    let hop = |from: &str, to: &str| {
        let next = next_hop(&Url::parse(from).unwrap(), &HeaderValue::from_str(to).unwrap());
        next.map(|url| url.to_string())
    };
    assert_eq!(
        hop("https://a.example/x/y", "../z"),
        Ok("https://a.example/z".to_owned())
    );
    assert_eq!(
        hop("http://a.example/", "//b.example/"),
        Ok("http://b.example/".to_owned())
    );
    assert_eq!(
        hop("http://a.example/", "https://a.example/"),
        Ok("https://a.example/".to_owned())
    );
    for to in [
        "http://a.example/",
        "HTTP://b.example",
        "http:/c.example",
        "http:\\\\d.example/",
    ] {
        assert_eq!(hop("https://a.example/", to), Err(RefusedUrl::Downgrade), "{to}");
    }
    assert_eq!(
        hop("https://a.example/", "https://[::1"),
        Err(RefusedUrl::Malformed)
    );
    let garbage = HeaderValue::from_bytes(b"/\xff").unwrap();
    let from = Url::parse("https://a.example/").unwrap();
    assert_eq!(next_hop(&from, &garbage), Err(RefusedUrl::Malformed));
}

#[test]
fn what_else_is_refused() {
    let of = |text: &str| check(&Url::parse(text).unwrap(), None, Reach::Web);
    assert_eq!(of("https://cdn.example/a.png"), Ok(Route::Guarded));
    assert_eq!(of("http://8.8.8.8/"), Ok(Route::Guarded));
    for port in [22, 25, 6379, 8080, 0] {
        let url = format!("http://cdn.example:{port}/");
        assert_eq!(of(&url), Err(RefusedUrl::Port));
        let url = Url::parse(&url).unwrap();
        assert_eq!(check(&url, None, Reach::Public), Ok(Route::Guarded));
        let inside = Url::parse(&format!("http://10.0.0.1:{port}/")).unwrap();
        let refused = check(&inside, None, Reach::Public);
        assert!(matches!(refused, Err(RefusedUrl::Blocked(_))), "{refused:?}");
    }
    assert_eq!(of("https://u@cdn.example/"), Err(RefusedUrl::Credentials));
    assert_eq!(of("https://:p@cdn.example/"), Err(RefusedUrl::Credentials));
    for scheme in [
        "file:///etc/passwd",
        "gopher://a/",
        "ftp://a/",
        "data:,x",
        "ws://a/",
        "sim://1/x",
    ] {
        assert_eq!(of(scheme), Err(RefusedUrl::Scheme), "{scheme}");
    }
}

#[test]
fn exactly_one_origin_is_trusted() {
    let base = Url::parse("http://127.0.0.1:8080/mj").unwrap();
    let of = |text: &str| check(&Url::parse(text).unwrap(), Some(&base), Reach::Web);
    assert_eq!(of("http://127.0.0.1:8080/other"), Ok(Route::Open));
    for text in [
        "http://127.0.0.1:8081/",
        "https://127.0.0.1:8080/",
        "http://127.0.0.2:8080/",
        "http://127.0.0.1/",
    ] {
        assert!(matches!(of(text), Err(RefusedUrl::Blocked(_))), "{text}");
    }
    assert_eq!(of("http://user@127.0.0.1:8080/"), Err(RefusedUrl::Credentials));
    let open = Url::parse("http://10.0.0.1:9000/").unwrap();
    assert_eq!(check(&open, None, Reach::All), Ok(Route::Open));
}
