#!/usr/bin/env bash
# A Slurm of one machine, from Debian's packages, without systemd.
#
#   tests/container/slurm-cluster.sh start FOLDER    installs what is missing, starts the daemons
#   tests/container/slurm-cluster.sh stop FOLDER     ends the daemons that start left in FOLDER
#
# Runs as root. Everything it writes is in FOLDER, which must be readable by all (munge's socket),
# but for a link, /etc/slurm/slurm.conf: jobs are given no SLURM_CONF. A machine that already has a
# configuration there is left alone.
set -euo pipefail
verb=${1:-}
folder=${2:-}
die() { echo "slurm-cluster: $1" >&2; exit 2; }
[ -n "$folder" ] || die "say start FOLDER or stop FOLDER"
[ "$(id -u)" = 0 ] || die "must run as root"

stop() {
    for name in slurmd slurmctld munged; do
        [ -f "$folder/$name.pid" ] || continue
        pid=$(cat "$folder/$name.pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
        rm -f "$folder/$name.pid"
    done
    [ "$(readlink /etc/slurm/slurm.conf)" != "$(realpath "$folder")/slurm.conf" ] || rm /etc/slurm/slurm.conf
}

start() {
    [ ! -e /etc/slurm/slurm.conf ] || die "this machine has a Slurm of its own (/etc/slurm/slurm.conf)"
    if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends slurm-wlm munge >/dev/null
    fi
    mkdir -p "$folder"/{munge,state,spool}
    folder=$(cd "$folder" && pwd)
    host=$(hostname -s)
    cores=$(nproc)
    memory=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 - 512))
    [ -f "$folder/munge/key" ] || head -c 1024 /dev/urandom >"$folder/munge/key"
    chmod 400 "$folder/munge/key"
    chown -R munge: "$folder/munge"
    cat >"$folder/slurm.conf" <<CONF
ClusterName=steerability
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=5,batch_sched_delay=1,requeue_delay=0
ReturnToService=2
MpiDefault=none
JobRequeue=1
MinJobAge=600
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    runuser -u munge -- munged --key-file "$folder/munge/key" --socket "$folder/munge/socket" \
        --pid-file "$folder/munge/pid" --log-file "$folder/munge/log" --seed-file "$folder/munge/seed" --num-threads 2
    cp "$folder/munge/pid" "$folder/munged.pid"
    mkdir -p /etc/slurm
    ln -sfn "$folder/slurm.conf" /etc/slurm/slurm.conf
    slurmctld
    slurmd
    for _ in $(seq 100); do
        case $(sinfo -h -o %T 2>/dev/null) in idle | mixed | allocated) echo "slurm-cluster: $host is up, $cores cores"; return ;; esac
        sleep 0.2
    done
    tail -n 5 "$folder/slurmctld.log" "$folder/slurmd.log" >&2
    stop
    die "the cluster did not come up within 20 s (logs above)"
}

case $verb in start) start ;; stop) stop ;; *) die "say start FOLDER or stop FOLDER" ;; esac
