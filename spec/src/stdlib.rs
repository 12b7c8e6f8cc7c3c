//! Top-level modules of the standard library, for interpreters that do not say so themselves
//! (`sys.stdlib_module_names` is there since 3.10).
//!
//! The union of 2.7 and 3.6 to 3.9, from each version's "Python Module Index" and `Lib/`; one sorted text and no
//! table, because a table of names would be a table of pointers (see [`crate::record::Field::key`]).
const NAMES: &str = " BaseHTTPServer Bastion CGIHTTPServer ConfigParser Cookie DocXMLRPCServer HTMLParser MimeWriter Queue \
    SimpleHTTPServer SimpleXMLRPCServer SocketServer StringIO UserDict UserList UserString _LWPCookieJar \
    _MozillaCookieJar __builtin__ __future__ __main__ __phello__ _abc _abcoll _aix_support _ast _asyncio \
    _bisect _blake2 _bootlocale _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022 \
    _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _compat_pickle _compression \
    _contextvars _crypt _csv _ctypes _ctypes_test _curses _curses_panel _datetime _dbm _decimal \
    _dummy_thread _elementtree _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib \
    _heapq _hotshot _imp _io _json _locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec \
    _multiprocessing _opcode _operator _osx_support _overlapped _peg_parser _pickle _posixshmem \
    _posixsubprocess _py_abc _pydecimal _pyio _queue _random _scproxy _sha _sha1 _sha256 _sha3 _sha512 \
    _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct \
    _symtable _testbuffer _testcapi _testclinic _testimportmultiple _testinternalcapi _testmultiphase \
    _thread _threading_local _tkinter _tracemalloc _uuid _warnings _weakref _weakrefset _winapi \
    _xxsubinterpreters _xxtestfuzz _zoneinfo abc aifc antigravity anydbm argparse array ast asynchat \
    asyncio asyncore atexit audiodev audioop base64 bdb binascii binhex bisect bsddb builtins bz2 \
    cPickle cProfile cStringIO calendar cgi cgitb chunk cmath cmd code codecs codeop collections \
    colorsys commands compileall compiler concurrent configparser contextlib contextvars cookielib copy \
    copy_reg copyreg crypt csv ctypes curses dataclasses datetime dbhash dbm decimal difflib dircache \
    dis distutils doctest dumbdbm dummy_thread dummy_threading email encodings ensurepip enum errno \
    exceptions faulthandler fcntl filecmp fileinput fnmatch formatter fpformat fractions ftplib \
    functools future_builtins gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq \
    hmac hotshot html htmlentitydefs htmllib http httplib idlelib ihooks imaplib imghdr imp importlib \
    imputil inspect io ipaddress itertools json keyword lib2to3 linecache linuxaudiodev locale logging \
    lzma macpath macurl2path mailbox mailcap markupbase marshal math md5 mhlib mimetools mimetypes \
    mimify mmap modulefinder msilib msvcrt multifile multiprocessing mutex netrc new nis nntplib nt \
    ntpath nturl2path numbers opcode operator optparse os os2emxpath ossaudiodev parser pathlib pdb \
    pickle pickletools pipes pkgutil platform plistlib popen2 poplib posix posixfile posixpath pprint \
    profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline \
    repr reprlib resource rexec rfc822 rlcompleter robotparser runpy sched secrets select selectors sets \
    sgmllib sha shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 \
    sre sre_compile sre_constants sre_parse ssl stat statistics statvfs string stringold stringprep \
    strop struct subprocess sunau sunaudio symbol symtable sys sysconfig syslog tabnanny tarfile \
    telnetlib tempfile termios test textwrap this thread threading time timeit tkinter toaiff token \
    tokenize trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib \
    urllib2 urlparse user uu uuid venv warnings wave weakref webbrowser whichdb winreg winsound wsgiref \
    xdrlib xml xmllib xmlrpc xmlrpclib xxlimited xxlimited_35 xxsubtype zipapp zipfile zipimport zlib \
    zoneinfo ";

/// Whether `name` is a top-level module of the standard library of Python before 3.10.
pub fn contains(name: &[u8]) -> bool {
    let mut low = 0_usize;
    let mut high = NAMES.len();
    // Bisection over the text: a probe lands inside a word, which is then taken whole.
    while low < high {
        let middle = low.saturating_add(high) / 2;
        let (before, after) = NAMES.as_bytes().split_at_checked(middle).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space.saturating_add(1));
        let end = after.iter().position(|byte| *byte == b' ').unwrap_or(after.len()).saturating_add(middle);
        match NAMES.as_bytes().get(start..end).unwrap_or_default().cmp(name) {
            core::cmp::Ordering::Equal => return !name.is_empty(),
            core::cmp::Ordering::Less => low = end.saturating_add(1),
            core::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_table_is_found_and_no_other() {
        let names = NAMES.split_ascii_whitespace();
        assert!(names.clone().is_sorted());
        assert!(names.clone().count() > 250);
        for name in names {
            assert!(contains(name.as_bytes()), "{name}");
            assert!(
                !contains(name.get(1..).unwrap().as_bytes())
                    || NAMES.split(' ').any(|word| word == name.get(1..).unwrap())
            );
        }
        for other in ["", " ", "numpy", "a", "zzz", "_", "o s"] {
            assert!(!contains(other.as_bytes()), "{other}");
        }
    }
}
