# /etc/profile.d/customs.csh: libcustoms.so in the default environment of csh and tcsh.
# Nothing is set for a user who opted out, nor where the library is missing: the loader would complain at every exec.
set customs_library = /usr/lib64/customs/libcustoms.so
set customs_opt_out = ""
set customs_preload = ""
# Not in one line: csh expands the variable before it looks at the condition.
if ( $?CUSTOMS_OPT_OUT ) then
  set customs_opt_out = "$CUSTOMS_OPT_OUT"
endif
if ( $?LD_PRELOAD ) then
  set customs_preload = "$LD_PRELOAD"
endif
if ( "$customs_opt_out" == "" && -r "$customs_library" ) then
  # ld.so(8): spaces separate, too.
  if ( ":${customs_preload}:" !~ "*[: ]${customs_library}[: ]*" ) then
    if ( "$customs_preload" == "" ) then
      setenv LD_PRELOAD "$customs_library"
    else
      setenv LD_PRELOAD "${customs_preload}:$customs_library"
    endif
  endif
endif
unset customs_library customs_opt_out customs_preload
