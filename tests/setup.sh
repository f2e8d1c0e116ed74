#!/usr/bin/env bash
# Installs what building and running FlashMem needs besides Rust: a C linker, and a Vulkan loader with the software driver.
# As root it uses apt; otherwise it prints the exact line and stops. It does nothing when everything is there.
set -euo pipefail

packages=()
command -v cc >/dev/null 2>&1 || packages+=(gcc libc6-dev)
ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' || packages+=(libvulkan1)
shopt -s nullglob
drivers=(/usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json)
[ ${#drivers[@]} -gt 0 ] || packages+=(mesa-vulkan-drivers)

[ ${#packages[@]} -eq 0 ] && exit 0
line="apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "setup: $line"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
else
    echo "setup: these packages are missing; as root, run:" >&2
    echo "    $line" >&2
    exit 1
fi
