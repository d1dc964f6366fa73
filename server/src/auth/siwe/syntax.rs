//! What RFC 3986 allows in a URI and RFC 3339 in a time, letter by letter. Nothing is decoded or normalised.

use std::net::Ipv6Addr;

/// Whether this is a `URI` of RFC 3986: absolute, with a scheme.
#[must_use]
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let (rest, fragment) = split_once_or_all(rest, '#');
    let (hierarchy, query) = split_once_or_all(rest, '?');
    let tail = |part: Option<&str>| {
        part.is_none_or(|part| is_made_of(part, |byte| is_pchar(byte) || b"/?".contains(&byte)))
    };
    is_scheme(scheme) && is_hierarchy(hierarchy) && tail(query) && tail(fragment)
}

/// Whether this is a `Request ID`: `*pchar` of RFC 3986.
#[must_use]
pub fn is_request_id(text: &str) -> bool {
    is_made_of(text, is_pchar)
}

pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `[ userinfo "@" ] host [ ":" port ]`; the host may be empty.
pub(super) fn is_authority(text: &str) -> bool {
    let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
    let user = user.is_none_or(|user| is_made_of(user, |byte| is_name_byte(byte) || byte == b':'));
    // The colons of an IPv6 address stand inside of its brackets.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (place, ""),
    };
    user && is_host(host) && port.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_statement(text: &str) -> bool {
    let allowed = |byte: u8| is_unreserved(byte) || is_sub_delimiter(byte) || b" :/?#[]@".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// The form `2025-11-04T10:30:00[.000]Z`, or with `+01:00`; whether there is such a day is for the calendar.
pub(super) fn is_timestamp(text: &str) -> bool {
    let Some((date_time, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if !(1..=9).contains(&(fraction.len() - zone.len())) {
                return false;
            }
            zone
        }
    };
    has_form(date_time, "0000-00-00t00:00:00") && (has_form(zone, "z") || is_offset(zone))
}

fn is_offset(text: &str) -> bool {
    let Some((hours, minutes)) = text.get(1..).and_then(|time| time.split_once(':')) else { return false };
    has_form(&text[1..], "00:00") && text.starts_with(['+', '-']) && hours < "24" && minutes < "60"
}

/// Compares byte by byte: `0` in the form stands for any digit, a letter for itself in either case.
fn has_form(text: &str, form: &str) -> bool {
    let fits = |(byte, form): (u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte.eq_ignore_ascii_case(&form),
    };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

fn is_hierarchy(text: &str) -> bool {
    let path = match text.strip_prefix("//") {
        None => text,
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !is_authority(authority) {
                return false;
            }
            path
        }
    };
    is_made_of(path, |byte| is_pchar(byte) || byte == b'/')
}

fn is_host(text: &str) -> bool {
    let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return is_made_of(text, is_name_byte);
    };
    literal.parse::<Ipv6Addr>().is_ok() || is_future_address(literal)
}

/// `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_future_address(literal: &str) -> bool {
    let Some((version, address)) =
        literal.strip_prefix(['v', 'V']).and_then(|literal| literal.split_once('.'))
    else {
        return false;
    };
    let allowed = |byte: u8| is_unreserved(byte) || is_sub_delimiter(byte) || byte == b':';
    !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !address.is_empty()
        && address.bytes().all(allowed)
}

/// Only allowed bytes and whole percent triplets.
fn is_made_of(text: &str, allowed: fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => allowed(byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

fn is_pchar(byte: u8) -> bool {
    is_name_byte(byte) || b":@".contains(&byte)
}

fn is_name_byte(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delimiter(byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_sub_delimiter(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}

fn split_once_or_all(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, after)| (before, Some(after)))
}
