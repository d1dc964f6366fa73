//! Autobahn's test suite for RFC 6455 against the client's sockets: its handshake and its codec, with an echo in the
//! place of a session and room for messages of 16 MiB.

use std::process::{Child, Command, Stdio};

use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::*;

/// Names the program of the suite; `cargo xtask test --long` installs it.
const PROGRAM: &str = "TIDEGATE_TEST_WSTEST";
/// The cases that are not about compression, which is not offered.
const CASES: usize = 301;

/// The suite as a server, killed on drop.
struct Suite(Child);

impl Drop for Suite {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection to the suite, as the client opens its own.
async fn open(url: &str) -> Result<Stream<TcpStream>, Error> {
    let request = url.into_client_request()?;
    let io = Tcp.dial(&request).await?;
    handshake(request, io, codec(16 << 20)).await
}

async fn echo(url: &str) -> Result<(), Error> {
    let mut stream = open(url).await?;
    while let Some(message) = stream.next().await.transpose()? {
        match message {
            Message::Text(_) | Message::Binary(_) => stream.send(message).await?,
            Message::Ping(_) | Message::Close(_) => stream.flush().await?,
            _ => {}
        }
    }
    Ok(())
}

/// The first text that the suite says at this address.
async fn ask(url: &str) -> Option<String> {
    let mut stream = open(url).await.ok()?;
    let message = stream.next().await?.ok()?;
    message.into_text().ok().map(|text| text.to_string())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Autobahn: cargo xtask test --long"]
async fn autobahn_t_41_p_1_the_client_fails_none_of_the_cases() {
    let program = std::env::var(PROGRAM).expect("cargo xtask test --long names the suite's program");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = std::env::temp_dir().join(format!("tidegate-autobahn-{port}"));
    std::fs::create_dir_all(&folder).unwrap();
    let spec = format!(
        r#"{{"url":"ws://127.0.0.1:{port}","outdir":"{}","cases":["*"],"exclude-cases":["12.*","13.*"],"exclude-agent-cases":{{}}}}"#,
        folder.join("report").display()
    );
    std::fs::write(folder.join("spec.json"), spec).unwrap();
    // Its page for people would take port 8080.
    let mut command = Command::new(program);
    command.args(["-m", "fuzzingserver", "-w", "0", "-s"]).arg(folder.join("spec.json"));
    let _suite = Suite(command.stdout(Stdio::null()).spawn().expect("the suite runs"));
    let url = |path: &str| format!("ws://127.0.0.1:{port}/{path}");
    let cases = loop {
        match ask(&url("getCaseCount")).await {
            Some(count) => break count.parse::<usize>().unwrap(),
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    assert_eq!(cases, CASES);
    let (mut failed, mut non_strict) = (Vec::new(), Vec::new());
    for case in 1..=cases {
        // How it ends is the suite's to judge.
        let _ = echo(&url(&format!("runCase?case={case}&agent=client"))).await;
        let status = ask(&url(&format!("getCaseStatus?case={case}&agent=client"))).await.expect("a verdict");
        if status.contains("NON-STRICT") {
            non_strict.push(case);
        } else if !["\"OK\"", "INFORMATIONAL"].iter().any(|good| status.contains(good)) {
            failed.push((case, status));
        }
    }
    println!("Autobahn: {cases} cases, {} failed, {} non-strict", failed.len(), non_strict.len());
    assert!(failed.is_empty(), "{failed:?}");
    let _ = std::fs::remove_dir_all(&folder);
}
