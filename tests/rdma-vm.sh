#!/bin/bash
# rdma-vm.sh [options] -- COMMAND [ARGS...]
#
# `cargo xtask test --rdma` uses it.  Debian only: what is missing comes by apt,
# which needs root, and is kept in the user's folder of caches.
#
# Runs COMMAND in a small QEMU virtual machine whose kernel (Debian's stock
# kernel, unmodified) has working RDMA verbs devices made by the software
# RoCE driver (rdma_rxe), and exits with COMMAND's exit status.
# The host's whole file system is the guest's / : a 9p share that QEMU opens
# read-only, under an overlay in guest memory, so the guest can "write"
# anywhere and nothing of it stays, except under --out DIR.
# The guest gets no network of the host's: QEMU runs without any NIC unless
# --net is given.
#
#   --setup         only install/extract what is needed, then stop
#   --out DIR       DIR (made if missing) is writable and shared, same path
#   --cwd DIR       start COMMAND there (default: the current directory)
#   --env NAME      pass this variable on (may be repeated); PATH, HOME,
#                   LANG, TERM, RUST_* and RDMA_VM_* always go
#   --mem MIB       guest memory (default 2048)
#   --smp N         guest CPUs (default 2)
#   --timeout S     kill the guest after S seconds, exit 124 (default 300)
#   --no-rxe        boot without making the rxe devices (for negative tests)
#   --net MAC,IP/LEN,SPEC   add a virtio NIC "net0" joined by a QEMU
#                   netdev SPEC (e.g. socket,listen=127.0.0.1:5551 and
#                   socket,connect=127.0.0.1:5551 for two guests); rxe_net is
#                   made on it, so two guests can talk RoCE to each other
#   --dmesg         print the guest's kernel log to stderr at the end
#   --accel A       tcg (default) or kvm.  On a host whose /dev/kvm is PVM a
#                   stock kernel does not boot with kvm; tcg works anywhere.
#
# Inside: rxe0 on eth0 (a dummy interface, 192.0.2.1 and fd00:2::1);
# GID index for RoCE v2/IPv4 is printed by `ibv_devinfo -v`; it is 1.
set -u
CACHE=${RDMA_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rgpu/rdma-vm}
OUT= CWD=$PWD MEM=2048 SMP=2 TMO=300 RXE=1 NET= DMESG=0 ACCEL=tcg SETUP=0
PASS=()
while [ $# -gt 0 ]; do case $1 in
  --setup) SETUP=1; shift;; --out) OUT=$2; shift 2;; --cwd) CWD=$2; shift 2;;
  --env) PASS+=("$2"); shift 2;; --mem) MEM=$2; shift 2;; --smp) SMP=$2; shift 2;;
  --timeout) TMO=$2; shift 2;; --no-rxe) RXE=0; shift;; --net) NET=$2; shift 2;;
  --dmesg) DMESG=1; shift;; --accel) ACCEL=$2; shift 2;;
  --) shift; break;; -*) echo "rdma-vm: unknown option $1" >&2; exit 2;; *) break;;
esac; done
say() { [ -n "${RDMA_VM_VERBOSE:-}" ] && echo "rdma-vm: $*" >&2; return 0; }
die() { echo "rdma-vm: $*" >&2; exit 125; }

# ---- tools and kernel, made once ------------------------------------------
need=()
command -v qemu-system-x86_64 >/dev/null || need+=(qemu-system-x86)
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || need+=(busybox-static)
command -v depmod >/dev/null || [ -x /sbin/depmod ] || need+=(kmod)
command -v rdma >/dev/null || [ -x /usr/bin/rdma ] || need+=(iproute2)
command -v ibv_devinfo >/dev/null || need+=(ibverbs-utils)
ls /usr/lib/*/libibverbs/librxe-rdmav*.so >/dev/null 2>&1 || need+=(ibverbs-providers)
command -v xz >/dev/null || need+=(xz-utils)
APT=(apt-get -y -q -o DPkg::Lock::Timeout=300 --no-install-recommends)
if [ ${#need[@]} -gt 0 ]; then
  say "installing ${need[*]}"
  { apt-get -q -o DPkg::Lock::Timeout=300 update && DEBIAN_FRONTEND=noninteractive "${APT[@]}" install "${need[@]}"; } >/tmp/rdma-vm-apt.$$ 2>&1 \
    || { tail -5 /tmp/rdma-vm-apt.$$ >&2; die "cannot install ${need[*]}"; }
  rm -f /tmp/rdma-vm-apt.$$
fi
MODS="virtio_pci virtio_console 9pnet_virtio 9p overlay dummy virtio_net crc32_generic rdma_rxe rdma_ucm ib_uverbs"
FMT=5                                   # raise when what is cached changes
if [ ! -e "$CACHE/ok.$FMT" ]; then
  say "fetching the kernel"
  mkdir -p "$CACHE"; exec 9>"$CACHE/lock"; flock 9
  if [ ! -e "$CACHE/ok.$FMT" ]; then
    T=$(mktemp -d "$CACHE/new.XXXXXX")
    P=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -1)
    [ -n "$P" ] || { apt-get -q update >/dev/null 2>&1; P=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -1); }
    [ -n "$P" ] || die "no linux-image-amd64 in apt's lists"
    (cd "$T" && apt-get -q download "$P" >/dev/null 2>&1) || die "cannot download $P"
    V=${P#linux-image-}
    dpkg-deb --fsys-tarfile "$T/$P"_*.deb | tar -x -C "$T" --wildcards "./boot/vmlinuz-$V" \
      "./lib/modules/$V/modules.*" "./lib/modules/$V/kernel/drivers/virtio" "./lib/modules/$V/kernel/drivers/infiniband/core" \
      "./lib/modules/$V/kernel/drivers/infiniband/sw" "./lib/modules/$V/kernel/drivers/net/dummy.ko*" "./lib/modules/$V/kernel/drivers/net/virtio_net.ko*" \
      "./lib/modules/$V/kernel/drivers/net/net_failover.ko*" "./lib/modules/$V/kernel/net/core/failover.ko*" \
      "./lib/modules/$V/kernel/drivers/char/virtio_console.ko*" "./lib/modules/$V/kernel/net/9p" "./lib/modules/$V/kernel/fs/9p" \
      "./lib/modules/$V/kernel/fs/netfs" "./lib/modules/$V/kernel/fs/fscache" "./lib/modules/$V/kernel/fs/overlayfs" "./lib/modules/$V/kernel/fs/configfs" \
      "./lib/modules/$V/kernel/net/ipv4/udp_tunnel.ko*" "./lib/modules/$V/kernel/net/ipv6/ip6_udp_tunnel.ko*" "./lib/modules/$V/kernel/crypto/crc32*" \
      || die "cannot unpack $P"
    PATH=$PATH:/sbin:/usr/sbin
    depmod -b "$T" "$V" 2>/dev/null
    I=$T/ird; mkdir -p "$I"/{bin,mods,proc,sys,dev,ro,rw,root}; cp /bin/busybox "$I/bin/"; : >"$I/mods/order"
    for m in $MODS; do modprobe -d "$T" -S "$V" --show-depends "$m" || echo "missing $m" >&2; done |
      awk '$1=="insmod" && !s[$2]++ {print $2}' | while read -r f; do cp "$f" "$I/mods/"; basename "$f" >>"$I/mods/order"; done
    cat >"$I/init" <<'INIT'
#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
while read m; do $B insmod /mods/$m || $B echo "rdma-vm: insmod $m failed"; done </mods/order
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /ro || { $B echo "rdma-vm: no 9p root"; $B poweroff -f; }
$B mount -t tmpfs -o size=75% rw /rw; $B mkdir /rw/up /rw/wk
$B mount -t overlay -o lowerdir=/ro,upperdir=/rw/up,workdir=/rw/wk root /root || { $B echo "rdma-vm: no overlay"; $B poweroff -f; }
for d in proc sys dev; do $B mount -o move /$d /root/$d; done
for d in run dev/shm; do $B mkdir -p /root/$d; $B mount -t tmpfs -o mode=1777 t /root/$d; done
$B mkdir -p /root/dev/pts; $B mount -t devpts p /root/dev/pts
$B ln -s /proc/self/fd /root/dev/fd 2>/dev/null; $B ln -s fd/0 /root/dev/stdin 2>/dev/null; $B ln -s fd/1 /root/dev/stdout 2>/dev/null; $B ln -s fd/2 /root/dev/stderr 2>/dev/null
$B mkdir -p /root/run/rdma-vm; $B mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=65536 ctl /root/run/rdma-vm
$B cp $B /root/run/busybox
exec $B chroot /root /bin/sh /run/rdma-vm/guest.sh
INIT
    chmod +x "$I/init"
    (cd "$I" && find . | busybox cpio -o -H newc 2>/dev/null) >"$T/initrd"
    # uncompressed kernel: saves decompressing it in an emulated CPU
    Z=$T/boot/vmlinuz-$V; n=$(od -An -tu1 -j497 -N1 "$Z"); set_off=$(od -An -tu4 -j584 -N4 "$Z"); set_len=$(od -An -tu4 -j588 -N4 "$Z")
    tail -c +$(( (n+1)*512 + set_off + 1 )) "$Z" | head -c $((set_len)) | xz -dc --single-stream >"$T/vmlinux" 2>/dev/null
    [ "$(head -c4 "$T/vmlinux" | od -An -c | tr -d ' ')" = '177ELF' ] || cp "$Z" "$T/vmlinux"
    rm -f "$T"/*.deb "$CACHE"/ok.*; mv -f "$T/vmlinux" "$T/initrd" "$CACHE/"; rm -rf "$T"; echo "$V" >"$CACHE/ok.$FMT"
  fi
  exec 9>&-
fi
[ $SETUP = 1 ] && { say "ready: kernel $(cat "$CACHE/ok.$FMT")"; exit 0; }
[ $# -gt 0 ] || die "no command"

# ---- what the guest is told -----------------------------------------------
W=$(mktemp -d /tmp/rdma-vm.XXXXXX); QPID=
trap '[ -n "$QPID" ] && kill "$QPID" 2>/dev/null; rm -rf "$W"' EXIT
mkdir "$W/ctl"
{
  echo "B=/run/busybox"
  echo 'ip link set lo up'
  if [ $RXE = 1 ]; then
    echo 'ip link add eth0 type dummy && ip link set eth0 mtu 4200 && ip addr add 192.0.2.1/24 dev eth0 && ip addr add fd00:2::1/64 dev eth0 nodad && ip link set eth0 up'
    echo 'rdma link add rxe0 type rxe netdev eth0 || echo "rdma-vm: rxe failed" >/dev/console'
  fi
  if [ -n "$NET" ]; then
    IFS=, read -r NMAC NIP NSPEC <<<"$NET"
    echo "n=\$(\$B grep -il '$NMAC' /sys/class/net/*/address | \$B head -1); n=\$(\$B basename \$(\$B dirname \$n))"
    echo "ip link set \$n name net0; ip link set net0 mtu 1500 up; ip addr add $NIP dev net0; rdma link add rxe_net type rxe netdev net0"
  fi
  [ -n "$OUT" ] && { mkdir -p "$OUT"; OUT=$(readlink -f "$OUT"); printf '$B mkdir -p %q; $B mount -t 9p -o trans=virtio,version=9p2000.L,rw,msize=524288 out %q\n' "$OUT" "$OUT"; }
  for v in PATH HOME LANG TERM "${PASS[@]+"${PASS[@]}"}" $(compgen -e | grep -E '^(RUST_|RDMA_VM_)'); do [ -n "${!v+x}" ] && printf 'export %s=%q\n' "$v" "${!v}"; done
  echo 'export IN_RDMA_VM=1; ulimit -l unlimited'
  echo 'for p in /sys/class/virtio-ports/*; do read n <$p/name; eval "port_$n=/dev/${p##*/}"; done'
  printf 'cd %q\n' "$CWD"
  printf '%q ' "$@"; echo '</dev/null >$port_out 2>$port_err; rc=$?'
  echo 'echo $rc >$port_rc; $B sync; $B poweroff -f'
} >"$W/ctl/guest.sh"
sed -i '1i #!/bin/bash' "$W/ctl/guest.sh"
# dash cannot read bash's $'..' quoting: hand over to bash
mv "$W/ctl/guest.sh" "$W/ctl/guest.bash"; echo 'exec /bin/bash /run/rdma-vm/guest.bash' >"$W/ctl/guest.sh"

# ---- run ------------------------------------------------------------------
A=(-accel "tcg,thread=multi,tb-size=256" -cpu max); [ "$ACCEL" = kvm ] && A=(-accel kvm -cpu host)
Q=("${A[@]}" -smp "$SMP" -m "$MEM" -machine q35,usb=off,vmport=off -display none -nodefaults -no-user-config -no-reboot
   -kernel "$CACHE/vmlinux" -initrd "$CACHE/initrd"
   -append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on tsc=reliable no_timer_check"
   -serial "file:$W/console"
   -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=host,mount_tag=host
   -fsdev "local,id=ctl,path=$W/ctl,security_model=none,readonly=on" -device virtio-9p-pci,fsdev=ctl,mount_tag=ctl
   -device virtio-serial-pci,max_ports=4
   -chardev "file,id=rc,path=$W/rc" -device virtserialport,chardev=rc,name=rc
   -chardev "file,id=out,path=/dev/fd/3" -device virtserialport,chardev=out,name=out
   -chardev "file,id=err,path=/dev/fd/4" -device virtserialport,chardev=err,name=err)
[ -n "$OUT" ] && Q+=(-fsdev "local,id=out9,path=$OUT,security_model=none" -device virtio-9p-pci,fsdev=out9,mount_tag=out)
if [ -n "$NET" ]; then Q+=(-netdev "${NSPEC/,/,id=n0,}" -device "virtio-net-pci,netdev=n0,mac=$NMAC,romfile="); fi
T0=$(date +%s%N)
# pipes, not /dev/fd: QEMU truncates a file it opens by path
mkfifo "$W/o" "$W/e"; cat "$W/o" & CO=$!; cat "$W/e" >&2 & CE=$!
for i in "${!Q[@]}"; do Q[i]=${Q[i]//\/dev\/fd\/3/$W/o}; Q[i]=${Q[i]//\/dev\/fd\/4/$W/e}; done
qemu-system-x86_64 "${Q[@]}" </dev/null 2>"$W/qemu" & QPID=$!
( exec >/dev/null 2>&1; s=0; while [ $s -lt "$TMO" ]; do sleep 1; kill -0 "$QPID" || exit 0; s=$((s+1)); done; echo timeout >"$W/timeout"; kill "$QPID" ) & WD=$!
wait "$QPID"; QRC=$?; QPID=
kill "$WD" 2>/dev/null
if [ $QRC -ne 0 ] && [ ! -e "$W/console" ]; then kill $CO $CE 2>/dev/null; fi
wait $CO $CE 2>/dev/null
say "guest ran $(( ($(date +%s%N)-T0)/1000000 )) ms"
[ $DMESG = 1 ] && cat "$W/console" >&2
[ -e "$W/timeout" ] && { tail -20 "$W/console" >&2; echo "rdma-vm: timed out after $TMO s" >&2; exit 124; }
if [ -s "$W/rc" ]; then exit "$(head -1 "$W/rc")"; fi
cat "$W/qemu" >&2; tail -30 "$W/console" >&2; die "the guest ended without a status"
