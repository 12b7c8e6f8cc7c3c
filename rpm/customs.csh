# /etc/profile.d/customs.csh: libcustoms.so in the default environment of csh and tcsh.
# Nothing is set for a user who opted out, while /etc/customs/off exists, nor where there is no library: the loader
# would complain at every exec. A library that was compiled on this node goes before the package's.
set customs_home = ""
set customs_opt_out = ""
set customs_preload = ""
# Not in one line: csh expands the variable before it looks at the condition.
if ( $?CUSTOMS_OPT_OUT ) then
  set customs_opt_out = "$CUSTOMS_OPT_OUT"
endif
if ( $?LD_PRELOAD ) then
  set customs_preload = "$LD_PRELOAD"
endif
if ( -r /opt/customs/lib64/libcustoms.so ) then
  set customs_home = /opt/customs
endif
if ( -r /opt/customs/local/lib64/libcustoms.so ) then
  set customs_home = /opt/customs/local
endif
if ( "$customs_opt_out" == "" && "$customs_home" != "" && ! -e /etc/customs/off ) then
  if ( "$customs_preload" !~ "*/opt/customs/*libcustoms.so*" ) then
    # $LIB is for the loader: ld.so(8).
    if ( "$customs_preload" == "" ) then
      setenv LD_PRELOAD "$customs_home"'/$LIB/libcustoms.so'
    else
      setenv LD_PRELOAD "${customs_preload}:$customs_home"'/$LIB/libcustoms.so'
    endif
  endif
endif
unset customs_home customs_opt_out customs_preload
