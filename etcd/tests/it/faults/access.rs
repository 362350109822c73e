//! Certificates and users: what is refused, and by which side.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use argus_registry::{ClaimOptions, RegistryStore};
use argus_registry_etcd::{ClientCertificate, EtcdOptions, EtcdStore, Password, TlsOptions, User};

use super::{count, count_up};
use crate::support::registries::{options, patient, watcher};
use crate::support::servers::{until, Servers};

fn openssl(dir: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(dir).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "openssl {arguments}");
}

/// Makes an authority `<name>-ca.pem`, and a certificate `<name>.pem` for 127.0.0.1 that it has signed.
fn certificates(dir: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    let ca =
        format!("req -x509 {key} -subj /CN={name}-ca -keyout {name}-ca.key -out {name}-ca.pem");
    openssl(dir, &ca);
    let request = format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr");
    openssl(dir, &request.replace(" -days 2", ""));
    std::fs::write(
        dir.join("ext"),
        "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n",
    )
    .unwrap();
    openssl(
        dir,
        &format!(
            "x509 -req -in {name}.csr -CA {name}-ca.pem -CAkey {name}-ca.key -CAcreateserial -days 2 \
             -extfile ext -out {name}.pem"
        ),
    );
}

#[test]
fn a_wrong_certificate_is_told_from_a_server_that_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path(), "one");
    certificates(dir.path(), "other");
    let file = |name: &str| -> PathBuf { dir.path().join(name) };
    let shown = |name: &str| file(name).display().to_string();
    let servers = Servers::start_with(
        1,
        &[
            &format!("--cert-file={}", shown("one.pem")),
            &format!("--key-file={}", shown("one.key")),
            "--client-cert-auth",
            &format!("--trusted-ca-file={}", shown("one-ca.pem")),
        ],
    );
    let store = |ca: &str, client: Option<&str>| {
        let client = client.map(|name| ClientCertificate {
            cert_file: file(&format!("{name}.pem")),
            key_file: file(&format!("{name}.key")),
        });
        let tls = TlsOptions { ca_file: file(ca), client, server_name: None };
        EtcdStore::open(EtcdOptions { tls: Some(tls), ..servers.options("/tls") })
    };
    let good = store("one-ca.pem", Some("one")).unwrap();
    until("the server is healthy", || good.read().is_ok());
    count_up(&good, &patient()).unwrap();
    for (ca, client) in
        [("other-ca.pem", Some("one")), ("one-ca.pem", Some("other")), ("one-ca.pem", None)]
    {
        let refused = store(ca, client).unwrap().read().unwrap_err();
        assert_eq!(refused.code(), "PERMISSION_DENIED", "{ca} {client:?}: {refused}");
    }
    let of_server = store("other-ca.pem", Some("one")).unwrap().read().unwrap_err();
    assert!(of_server.to_string().contains("the server's certificate"), "{of_server}");
    let missing = store("no-ca.pem", None).unwrap_err();
    assert_eq!((missing.code(), missing.path()), ("NOT_FOUND", &*file("no-ca.pem")));
    assert_eq!(count(&good), 1);
}

/// It counted as a refused certificate, and was not tried again.
#[test]
fn a_proxy_that_has_no_server_behind_it_is_no_refused_certificate() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path(), "one");
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = proxy.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in proxy.incoming() {
            // It has read something when it closes the connection, as a proxy has.
            let _ = client.and_then(|mut client| client.read(&mut [0; 4096]));
        }
    });
    let tls =
        TlsOptions { ca_file: dir.path().join("one-ca.pem"), client: None, server_name: None };
    let of_proxy = EtcdOptions { tls: Some(tls), ..EtcdOptions::new([endpoint], "/tls") };
    let store = EtcdStore::open(of_proxy).unwrap();
    let (started, timeout) = (Instant::now(), Duration::from_millis(500));
    let failed = count_up(&store, &options(timeout)).unwrap_err();
    assert_eq!(failed.code(), "UNAVAILABLE", "{failed}");
    assert!(started.elapsed() >= timeout, "it was not tried again");
}

#[test]
fn a_user_with_a_role_for_the_prefix_suffices_and_any_other_is_refused() {
    let servers = Servers::start(1);
    for arguments in [
        "user add root:secret",
        "user grant-role root root",
        "role add argus",
        "role grant-permission argus --prefix=true readwrite /users/",
        "user add argus:word",
        "user grant-role argus argus",
        "auth enable",
    ] {
        servers.ctl(&arguments.split(' ').collect::<Vec<_>>());
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "word\n").unwrap();
    let store = |prefix: &str, password: Option<Password>| {
        let user = password.map(|password| User { name: "argus".to_owned(), password });
        EtcdStore::open(EtcdOptions { user, ..servers.options(prefix) }).unwrap()
    };
    let good = store("/users", Some(Password::File(file)));
    let own = good.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    assert!(good.heartbeat(own.claim().into(), &patient()).unwrap());
    count_up(&good, &patient()).unwrap();
    good.with_lock(&patient().lock, |lock| lock.read().map(|_| ())).unwrap();
    let mut watch = good.watch().unwrap();
    assert_eq!(watch.next().unwrap().unwrap().0.len(), 2);
    assert!(good.remove(own.claim().into(), &patient()).unwrap());
    until("the removal was delivered", || watch.next().unwrap().unwrap().0.len() == 1);
    let text = |text: &str| Some(Password::Text(text.to_owned()));
    for (prefix, password, reason) in [
        ("/users", text("wrong"), "with this password"),
        ("/users", None, "name none"),
        ("/others", text("word"), "a role"),
    ] {
        let refused = store(prefix, password).read().unwrap_err();
        assert_eq!(refused.code(), "PERMISSION_DENIED");
        assert!(refused.to_string().contains(reason), "{prefix}: {refused}");
    }
}
