# /etc/profile.d/customs.sh: libcustoms.so in the default environment of sh, bash, ksh and zsh.
# Nothing is set for a user who opted out, nor where the library is missing: the loader would complain at every exec.
customs_library=/usr/lib64/customs/libcustoms.so
if [ -z "${CUSTOMS_OPT_OUT:-}" ] && [ -r "$customs_library" ]; then
  # ld.so(8): spaces separate, too.
  case ":${LD_PRELOAD:-}:" in
    *[:\ ]"$customs_library"[:\ ]*) ;;
    *) export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$customs_library" ;;
  esac
fi
unset customs_library
