//! A real nginx with the site of `deploy/nginx.conf`, in a folder of its own and on a free port.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::RootCertStore;

use crate::command_line::Folder;

/// Names the program; `cargo xtask test --long` finds or installs one.
const PROGRAM: &str = "TIDEGATE_TEST_NGINX";
const SITE: &str = include_str!("../../../deploy/nginx.conf");
/// For it to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running nginx, stopped on drop.
pub struct Nginx {
    child: Child,
    folder: Folder,
    pub address: SocketAddr,
    /// What a client needs to trust it.
    pub roots: RootCertStore,
}

impl Nginx {
    /// One that passes on to a gateway at `gateway`. Everything else is as deployed.
    pub fn before(gateway: SocketAddr) -> Self {
        let program = std::env::var_os(PROGRAM).expect("cargo xtask test --long names the program");
        let folder = Folder::new();
        let roots = certificate(&folder);
        for _ in 0..10 {
            // Somebody else may take the port in between.
            let address = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).unwrap();
            let main = folder.path("nginx.conf");
            std::fs::write(&main, configuration(&folder, address, gateway)).unwrap();
            let (prefix, log) = (folder.path(""), folder.path("error.log"));
            let child = Command::new(&program)
                .args(["-p", &prefix, "-e", &log, "-c", &main, "-g", "daemon off;"])
                .stderr(Stdio::null())
                .spawn()
                .expect("nginx runs");
            let mut nginx = Self { child, folder: Folder::new(), address, roots: roots.clone() };
            if nginx.answers() {
                nginx.folder = folder;
                return nginx;
            }
        }
        let log = std::fs::read_to_string(folder.path("error.log")).unwrap_or_default();
        panic!("nginx does not start: {log}");
    }

    /// What it has written about requests.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.folder.path("tidegate.log")).expect("it logs")
    }

    fn answers(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM ends its worker too, which SIGKILL would leave behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The deployed site with the places of this run, inside the least that nginx needs around it.
fn configuration(folder: &Folder, address: SocketAddr, gateway: SocketAddr) -> String {
    let mut site = SITE.to_owned();
    for (deployed, here) in [
        ("server 127.0.0.1:8080;", format!("server {gateway};")),
        ("listen 443 ssl;", format!("listen {address} ssl;")),
        ("/etc/ssl/signals.example.crt", folder.path("chain.pem")),
        ("/etc/ssl/signals.example.key", folder.path("key.pem")),
        ("/var/log/nginx/tidegate.log", folder.path("tidegate.log")),
    ] {
        assert_eq!(site.matches(deployed).count(), 1, "{deployed} is in deploy/nginx.conf");
        site = site.replace(deployed, &here);
    }
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("{of}_temp_path {};\n", folder.path(&format!("{of}_temp"))))
        .concat();
    format!(
        "worker_processes 1;\npid {};\nevents {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n",
        folder.path("pid")
    )
}

fn certificate(folder: &Folder) -> RootCertStore {
    let names = ["signals.example", "localhost", "127.0.0.1"].map(str::to_owned);
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.path("chain.pem"), cert.pem()).unwrap();
    std::fs::write(folder.path("key.pem"), signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    roots
}
