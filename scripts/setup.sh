#!/bin/sh
# What the build needs beside Rust: a linker, OpenCV 4 and the clang that reads OpenCV's headers.
# Says what it installs, installs only what is missing, and says what to do where it can't.
set -eu

packages=""
need() { # PACKAGE CHECK...: note PACKAGE unless CHECK succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || packages="$packages $package"
}

libclang_is_there() {
    for library in "${LIBCLANG_PATH:-/nonexistent}"/libclang*.so* /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so*; do
        case $library in
        *libclang-cpp*) ;;
        *) [ -e "$library" ] && return 0 ;;
        esac
    done
    return 1
}

need build-essential command -v c++
need pkg-config command -v pkg-config
need clang command -v clang
need libclang-dev libclang_is_there
need libopencv-dev pkg-config --exists opencv4

if ! command -v cargo >/dev/null 2>&1; then
    echo "kestrel: cargo is missing; install Rust by rustup (https://rustup.rs), then run this again" >&2
    exit 1
fi
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "kestrel: this system has no apt-get, so nothing was installed; install the equivalents of:$packages" >&2
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root="sudo"
else
    echo "kestrel: system packages are missing and this user can't install them; ask an administrator to run:" >&2
    echo "    apt-get install$packages" >&2
    exit 1
fi

echo "kestrel: installing the system packages$packages"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends $packages
