# /etc/profile.d/customs.sh: libcustoms.so in the default environment of sh, bash, ksh and zsh.
# Nothing is set for a user who opted out, while /etc/customs/off exists, nor where there is no library: the loader
# would complain at every exec. A library that was compiled on this node goes before the package's.
if [ -z "${CUSTOMS_OPT_OUT:-}" ] && [ ! -e /etc/customs/off ]; then
  for customs_home in /opt/customs/local /opt/customs; do
    [ -r "$customs_home/lib64/libcustoms.so" ] || continue
    case "${LD_PRELOAD:-}" in
      */opt/customs/*libcustoms.so*) ;;
      # $LIB is for the loader: ld.so(8).
      *) export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$customs_home/\$LIB/libcustoms.so" ;;
    esac
    break
  done
  unset customs_home
fi
