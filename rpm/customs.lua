-- A module for Lmod, for sites that set the default environment by modules and not in /etc/profile.d.
help([[Reports at the end of a Python process which packages it used. Opt out: export CUSTOMS_OPT_OUT=1]])
whatis("Name: customs")
whatis("Description: which Python packages are used here")
-- `module purge` leaves it.
add_property("lmod", "sticky")

-- A library that was compiled on this node goes before the package's. $LIB is for the loader: ld.so(8).
local homes = { "/opt/customs/local", "/opt/customs" }
local is_wanted = (os.getenv("CUSTOMS_OPT_OUT") or "") == "" and not isFile("/etc/customs/off")
for _, home in ipairs(homes) do
  if (mode() == "unload") then
    -- Also where the file is gone or another has come since.
    append_path("LD_PRELOAD", home .. "/$LIB/libcustoms.so")
  elseif (is_wanted and isFile(home .. "/lib64/libcustoms.so")) then
    append_path("LD_PRELOAD", home .. "/$LIB/libcustoms.so")
    break
  end
end
