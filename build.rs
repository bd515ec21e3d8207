//! How the program is linked.

use std::env::var;
use std::process::Command;

/// The first version of glibc that reads compact relocations.
const FIRST_GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The program is full of pointers to its own tables. Where these are takes 1.7 MB of the memory of an idle server, unless it is
    // written compactly (DT_RELR). What is built for another machine is linked as ever: nothing is known of its glibc.
    let is_own_linux = var("TARGET").is_ok_and(|target| target.ends_with("linux-gnu") && var("HOST") == Ok(target));
    if is_own_linux && glibc_version().is_some_and(|version| version >= FIRST_GLIBC) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc, which the program then asks for anyway.
fn glibc_version() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
