//! What is wrong with a request before anybody looks at what it asks for.
//!
//! A request that two parsers could read in two ways is refused, not interpreted: behind a proxy the second reading
//! is somebody else's request.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use tidegate_protocol::ErrorCode;
use tokio::time::timeout;

use super::{HEADERS_MAX_BYTES, REQUEST_DEADLINE, URI_MAX_BYTES};
use crate::http::ApiError;
use crate::router::BODY_MAX_BYTES;

/// Checks the head of a request. `allowed_hosts` are the names of this gateway; none means any.
pub(super) fn check(parts: &Parts, allowed_hosts: &[String]) -> Result<(), ApiError> {
    if parts.uri.path_and_query().is_some_and(|path| path.as_str().len() > URI_MAX_BYTES) {
        return Err(fault(StatusCode::URI_TOO_LONG, "the path and query are too long"));
    }
    if header_bytes(&parts.headers) > HEADERS_MAX_BYTES {
        return Err(fault(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large"));
    }
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        return Err(ApiError::bad_request("`Transfer-Encoding` is not taken: send `Content-Length`"));
    }
    if asks_for_websocket(&parts.headers) && declared_length(&parts.headers) != 0 {
        return Err(ApiError::bad_request("a request for a WebSocket has no body"));
    }
    let host = host(parts)?;
    match host {
        Some(host) if !allowed_hosts.is_empty() && !is_allowed(&host, allowed_hosts) => Err(fault(
            StatusCode::MISDIRECTED_REQUEST,
            "this gateway has another name: see server.allowed_hosts",
        )),
        _ => Ok(()),
    }
}

/// The body, which is small and has to come soon.
pub(super) async fn read_body(parts: &Parts, body: Incoming) -> Result<Bytes, ApiError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if declared_length(&parts.headers) > BODY_MAX_BYTES as u64 {
        return Err(fault(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or was cut off"));
    }
    match timeout(REQUEST_DEADLINE, to_bytes(Body::new(body), BODY_MAX_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(ApiError::bad_request("the body is too large, or was cut off")),
        Err(_) => Err(fault(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

/// The one name by which the request addresses this gateway.
fn host(parts: &Parts) -> Result<Option<Authority>, ApiError> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) if parts.version < Version::HTTP_11 => return Ok(None),
        _ => return Err(ApiError::bad_request("a request has one `Host` header")),
    };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let host = host.filter(|host| !host.as_str().contains('@'));
    let Some(host) = host else { return Err(ApiError::bad_request("`Host` is not the name of a host")) };
    let absolute = parts.uri.authority().filter(|_| parts.method != Method::CONNECT);
    if absolute.is_some_and(|absolute| *absolute != host) {
        return Err(ApiError::bad_request("`Host` and the address name two hosts"));
    }
    Ok(Some(host))
}

fn is_allowed(host: &Authority, allowed: &[String]) -> bool {
    let names = [host.as_str(), host.host()];
    allowed.iter().any(|allowed| names.iter().any(|name| name.eq_ignore_ascii_case(allowed)))
}

/// Other protocols are not spoken here, and clients that offer one by themselves go on without.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(UPGRADE).iter();
    offered.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|protocol| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"websocket")
    })
}

/// What `Content-Length` says; HTTP has refused one that is no number, and two that differ.
fn declared_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn fault(status: StatusCode, text: &str) -> ApiError {
    ApiError::new(status, ErrorCode::InvalidMessage, text)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::response::IntoResponse;

    use super::*;

    fn status(uri: &str, headers: &[(&str, &str)], allowed_hosts: &[&str]) -> u16 {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let allowed_hosts: Vec<_> = allowed_hosts.iter().map(|&host| host.to_owned()).collect();
        check(&parts, &allowed_hosts).map_or_else(|fault| fault.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn t_07_a_request_names_one_host_and_it_is_this_gateway() {
        const HERE: (&str, &str) = ("host", "gate.example:8080");
        for (uri, headers, allowed, expected) in [
            ("/", &[HERE][..], &[][..], 200),
            ("/", &[], &[], 400),
            ("/", &[HERE, HERE], &[], 400),
            ("/", &[("host", "a b")], &[], 400),
            ("/", &[("host", "user@gate.example")], &[], 400),
            ("http://gate.example:8080/", &[HERE], &[], 200),
            ("http://other.example/", &[HERE], &[], 400),
            ("/", &[HERE], &["Gate.example"], 200),
            ("/", &[HERE], &["gate.example:8080"], 200),
            ("/", &[HERE], &["other.example"], 421),
            ("/", &[("host", "[::1]:80")], &["[::1]"], 200),
        ] {
            assert_eq!(status(uri, headers, allowed), expected, "{uri} {headers:?} {allowed:?}");
        }
    }

    #[test]
    fn t_12_addresses_and_headers_are_bounded() {
        let host = ("host", "a");
        let long = |length| "x".repeat(length);
        assert_eq!(status(&format!("/{}", long(8_191)), &[host], &[]), 200);
        assert_eq!(status(&format!("/{}", long(8_192)), &[host], &[]), 414);
        assert_eq!(status("/", &[host, ("x", &long(16_000))], &[]), 200);
        assert_eq!(status("/", &[host, ("x", &long(16_384))], &[]), 431);
    }

    #[test]
    fn t_09_t_10_what_could_be_read_in_two_ways_is_refused() {
        let host = ("host", "a");
        assert_eq!(status("/", &[host, ("transfer-encoding", "chunked")], &[]), 400);
        assert_eq!(status("/", &[host, ("upgrade", "websocket"), ("content-length", "5")], &[]), 400);
        assert_eq!(status("/", &[host, ("upgrade", "websocket"), ("content-length", "0")], &[]), 200);
        for upgrade in ["WebSocket", "h2c, websocket", "websocket/13"] {
            assert_eq!(status("/", &[host, ("upgrade", upgrade), ("content-length", "5")], &[]), 400);
        }
        assert_eq!(status("/", &[host, ("content-length", "5")], &[]), 200);
        let java =
            [host, ("upgrade", "h2c"), ("connection", "Upgrade, HTTP2-Settings"), ("content-length", "5")];
        assert_eq!(status("/", &java, &[]), 200, "an offer to a body that HTTP/1.1 carries as well");
    }
}
