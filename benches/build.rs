//! Generates what tonic and Cap'n Proto call, the latter if its compiler is installed.

use std::process::Command;

use tonic_build::manual::{Builder, Method, Service};

const SCHEMA: &str = "schema/meter.capnp";

fn main() {
    generate_tonic();
    println!("cargo::rustc-check-cfg=cfg(has_capnp)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SCHEMA}");
    println!("cargo::rerun-if-env-changed=PATH");
    let is_installed = Command::new("capnp").arg("--version").output().is_ok();
    if is_installed && generate_capnp() {
        println!("cargo::rustc-cfg=has_capnp");
    }
}

/// Without protobuf's compiler: the messages are Rust types.
fn generate_tonic() {
    let method = |name: &str, route: &str, input: &str, output: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("super::super::messages::{input}"))
            .output_type(format!("super::super::messages::{output}"))
            .codec_path("tonic_prost::ProstCodec")
            .build()
    };
    let meter = Service::builder()
        .name("Meter")
        .package("bench")
        .method(method("add", "Add", "Pair", "Sum"))
        .method(method("echo_bytes", "EchoBytes", "Shared", "Shared"))
        .method(method("echo_vec", "EchoVec", "Owned", "Owned"))
        .method(method("echo_record", "EchoRecord", "Record", "Record"))
        .method(method("spin", "Spin", "Empty", "Empty"))
        .method(method("wait", "Wait", "Empty", "Empty"))
        .method(
            Method::builder()
                .name("count")
                .route_name("Count")
                .input_type("super::super::messages::Number")
                .output_type("super::super::messages::Number")
                .codec_path("tonic_prost::ProstCodec")
                .server_streaming()
                .build(),
        )
        .build();
    Builder::new().compile(&[meter]);
}

fn generate_capnp() -> bool {
    let generated = capnpc::CompilerCommand::new()
        .src_prefix("schema")
        .file(SCHEMA)
        .default_parent_module(vec!["peers".to_owned(), "capnp".to_owned()])
        .run();
    if let Err(error) = &generated {
        println!("cargo::warning=Cap'n Proto is left out: {error}");
    }
    generated.is_ok()
}
