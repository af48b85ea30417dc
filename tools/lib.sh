# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.

set -euo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export REPOSITORY
cd "$REPOSITORY"

# Debian packages that a build needs, and those that the tests and checks need on top.
# shellcheck disable=SC2034 # used by the scripts that source this file
BUILD_PACKAGES=(
    ca-certificates git gcc libc6-dev libstdc++-12-dev libgcc-12-dev libcurl4 libxml2 libsqlite3-dev libseccomp-dev
    libisal-dev libsystemd-dev libzstd-dev pkg-config zlib1g-dev
)
# shellcheck disable=SC2034
RUN_PACKAGES=(busybox-static iproute2 util-linux procps)
# shellcheck disable=SC2034
TEST_PACKAGES=(bsdutils buildah conmon containerd crun gzip jq podman runc skopeo tar umoci zstd)
# shellcheck disable=SC2034
CHECK_PACKAGES=(jq protobuf-compiler shellcheck)

# On this machine, for the guest; in the guest, for the tests; the tests that run in it, what of them is left out there
# (docs/isolation.md says why), and those that run once more on version 1.
# shellcheck disable=SC2034
GUEST_PACKAGES=(python3 qemu-system-x86 mmdebstrap e2fsprogs)
# shellcheck disable=SC2034
GUEST_DEBIAN=(apparmor buildah busybox-static conmon containerd crun curl e2fsprogs iproute2 jq libisal2 podman procps runc)
# shellcheck disable=SC2034
GUEST_TESTS=(
    '^(KernelTests|CgroupsTests|SandboxTests|RuntimeTests)\.' '^BackendTests\..*/native\(|^SystemTests\..*(Systemd|Group|SecurityModule)Tests'
    '^SecurityTests\.|^UpgradeTests\..*/whatIsUnsureIsNotKilled'
    '^BackendTests\.RestrictedBackendTests|^SystemTests\..*/(whatWasLearned|aHostileCall|everyModeDoes|aManagerThatIsKilledLoses|aSessionIsNoWay|aRunThatNobody|restrictedModeTakes|outputGoesOnAfterADeath)'
)
# shellcheck disable=SC2034
GUEST_LEFT_OUT='TakeoverTests|IdentityTests|Security.*(DaemonProcess|/aDestinationThatBecomes|/missingDestinations|/whatIsMadeLater|/linksOnTheWay|/aNullDeviceThatIsExchanged|/mountsOfTheHostThatComeAndGo|/aLinkInPlaceOfDevices|/request|/texts|/aVolume|/anOrdinary|/annotations|/aContainerOnTheHosts|/aShimTells)|RuntimeTests.ClientTests/(podmanRuns|podmanGives|podmanLimitsAnd|podmanMaps|buildah|containerds)'
# Each in a guest of its own: units that begin to need a controller have systemd take groups of others out of its hierarchy, and who is about to
# enter one at that moment is refused.
# shellcheck disable=SC2034
GUEST_V1_TESTS=('^CgroupsTests\.(?!SystemdScopeTests)' '^CgroupsTests\.SystemdScopeTests' '^SystemTests\..*GroupTests')

if [ -t 1 ]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; else BOLD='' PLAIN=''; fi

# say TEXT: what the script does now.
say() { printf '%s==> %s%s\n' "$BOLD" "$*" "$PLAIN"; }

# fail TEXT: one sentence to standard error, and the end.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" -eq 0 ] || fail "$(basename "$0") needs root: it makes namespaces, mounts and cgroups"
}

# need_swift: finds Swift 6.3 or newer, on PATH or in /opt/swift.
need_swift() {
    if ! command -v swift >/dev/null && [ -x /opt/swift/usr/bin/swift ]; then
        PATH=/opt/swift/usr/bin:$PATH
        export PATH
    fi
    command -v swift >/dev/null || fail "no swift on PATH nor in /opt/swift/usr/bin: install Swift 6.3 or newer"
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    case $version in
    6.[3-9] | 6.[1-9][0-9] | [7-9].* | [1-9][0-9].*) ;;
    *) fail "this is Swift ${version:-of an unknown version}, and 6.3 or newer is needed" ;;
    esac
}

# packages NAME…: installs those that are missing.
packages() {
    local name missing=()
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || fail "these packages are missing, and only root can install them: ${missing[*]}"
    say "installing ${missing[*]}"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
}

# docker_client: a docker command line in PATH. The package's daemon is never installed, only its client is unpacked.
docker_client() {
    command -v docker >/dev/null && return 0
    local place=$REPOSITORY/.build/tools/docker
    if [ ! -x "$place/usr/bin/docker" ]; then
        say "unpacking the docker client"
        apt-get -qq update
        mkdir -p "$place"
        (cd "$place" && apt-get -qq download docker.io && dpkg -x docker.io_*.deb . && rm -f docker.io_*.deb)
    fi
    PATH=$PATH:$place/usr/bin
    export PATH
}

# build_release: the products as they are shipped, into $BERTH_BIN_DIR.
build_release() {
    say "building the products (release)"
    # One by one: the helpers of tests need the testing library, which cannot be linked statically.
    local product
    for product in berth-shim-native berth-shim-restricted berth-shim-oci berth-shim-foreign berth-runtime berth berthd shim-conformance sandbox-run; do
        swift build -c release --static-swift-stdlib -j 2 --product "$product"
    done
    BERTH_BIN_DIR=$(swift build -c release --static-swift-stdlib --show-bin-path)
    export BERTH_BIN_DIR
    # C alone: SwiftPM would link the Swift runtime into it, 9 MB for a PID 1 of 150 lines.
    gcc -std=gnu11 -Wall -Wextra -Werror -Os -static -s -o "$BERTH_BIN_DIR/berth-init" Sources/berth-init/main.c
    # A program of its own, because libsystemd is not there for static linking.
    gcc -std=gnu11 -Wall -Wextra -Werror -Os -s -o "$BERTH_BIN_DIR/berth-scope" Sources/berth-scope/main.c -lsystemd
}

# build_tests: the tests and their helpers (debug).
build_tests() {
    say "building the tests (debug)"
    swift build --build-tests -j 2
    # Static, for they run in roots that hold nothing else.
    local products
    products=$(swift build --show-bin-path)
    gcc -std=gnu11 -Wall -Wextra -Werror -Os -static -s -o "$products/isolation-probe" Tests/Support/isolation-probe/*.c
    gcc -std=gnu11 -Wall -Wextra -Werror -Os -static -s -o "$products/syscall-load" Tests/Support/syscall-load/*.c
    gcc -std=gnu11 -Wall -Wextra -Werror -Os -static -s -o "$products/rules-probe" Tests/Support/rules-probe/*.c
    gcc -std=gnu11 -Wall -Wextra -Werror -O1 -static -no-pie -o "$products/hostile" Tests/Support/hostile/hostile.c
    # As for the products: scopes of systemd are kept by it.
    gcc -std=gnu11 -Wall -Wextra -Werror -Os -static -s -o "$products/berth-init" Sources/berth-init/main.c
}

# summary PLACE LOG STATUS: the last line of a run of tests, counted from what the tests said; fails when one did.
# PLACE is native or guest: a test may only be skipped where tools/skipped-tests says so.
summary() {
    # The summary of a run does not say how many were skipped.
    local passed failed skipped name unexpected=0
    # The line of the whole run, "Test run with …", is no test.
    passed=$(grep -E '^[^[:alnum:]]*Test .* passed after' "$2" | grep -cv 'Test run with' || true)
    failed=$(grep -E '^[^[:alnum:]]*Test .* failed after' "$2" | grep -cv 'Test run with' || true)
    skipped=$(grep -cE '^[^[:alnum:]]*Test .* skipped' "$2" || true)
    if [ "$3" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    # A skipped test shows nothing: where the machine is known, as CI's is, one that is not expected counts as failed.
    while read -r name; do
        grep -qE "^$1 +$name( |\$)" tools/skipped-tests && continue
        echo "not expected to be skipped ($1): $name"
        unexpected=$((unexpected + 1))
    done < <(sed -nE 's/^[^[:alnum:]]*Test "?([[:alnum:]_]+)[^ ]* skipped.*/\1/p' "$2")
    if [ "${CI:-}" = true ]; then failed=$((failed + unexpected)); fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
