"""What of the standard library people write without importing it, in tables: modules, and members with one home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

_MODULES = """
abc argparse ast asyncio atexit base64 bisect builtins bz2 cmath codecs collections configparser contextlib contextvars
cProfile ctypes curses dataclasses decimal difflib dis doctest enum errno faulthandler fcntl fnmatch fractions ftplib
functools gc getpass gettext glob graphlib grp gzip hashlib heapq hmac imaplib importlib inspect io ipaddress itertools
linecache logging lzma marshal math mimetypes mmap msvcrt multiprocessing ntpath numbers operator os pathlib pdb pickle
pickletools pkgutil poplib posixpath pprint pstats pwd pydoc re readline runpy sched shelve shlex shutil smtplib
socketserver sqlite3 ssl subprocess sys sysconfig tarfile tempfile termios textwrap threading timeit tkinter tokenize
traceback tracemalloc tty typing unicodedata unittest venv warnings weakref winreg zipapp zipfile zipimport
zlib zoneinfo
"""
_PARTS = """
array: array
calendar: Calendar HTMLCalendar TextCalendar day_abbr day_name isleap leapdays month_abbr month_name monthcalendar \
monthrange setfirstweekday timegm weekday
code: InteractiveConsole InteractiveInterpreter compile_command interact
copy: copy deepcopy
csv: DictReader DictWriter Dialect Error QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE QUOTE_NONNUMERIC Sniffer excel \
field_size_limit reader register_dialect writer
datetime: MAXYEAR MINYEAR UTC date datetime time timedelta timezone tzinfo
email: message_from_bytes message_from_file message_from_string
html: escape unescape
json: JSONDecodeError JSONDecoder JSONEncoder decoder dump dumps encoder load loads
keyword: iskeyword issoftkeyword kwlist softkwlist
locale: LC_ALL LC_COLLATE LC_CTYPE LC_MONETARY LC_NUMERIC LC_TIME Error currency format_string getlocale \
getpreferredencoding setlocale
platform: architecture mac_ver machine node platform processor python_implementation python_version \
python_version_tuple release system uname version win32_ver
queue: Empty Full LifoQueue PriorityQueue Queue SimpleQueue
random: Random SystemRandom betavariate choice choices expovariate gauss getrandbits getstate lognormvariate \
normalvariate randbytes randint random randrange sample seed setstate shuffle triangular uniform
resource: RLIMIT_AS RLIMIT_CPU RLIMIT_NOFILE RUSAGE_CHILDREN RUSAGE_SELF getrlimit getrusage setrlimit
secrets: SystemRandom choice compare_digest randbelow randbits token_bytes token_hex token_urlsafe
select: epoll kqueue poll select
selectors: DefaultSelector EVENT_READ EVENT_WRITE
signal: SIGABRT SIGALRM SIGCHLD SIGHUP SIGINT SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTERM SIGUSR1 SIGUSR2 SIG_DFL SIG_IGN \
SIG_UNBLOCK SIG_BLOCK Signals alarm default_int_handler getsignal pause pthread_sigmask raise_signal set_wakeup_fd \
setitimer siginterrupt signal strsignal
site: getsitepackages getusersitepackages
socket: AF_INET AF_INET6 AF_UNIX AddressFamily IPPROTO_TCP IPPROTO_UDP SHUT_RDWR SHUT_WR SOCK_DGRAM SOCK_STREAM \
SOL_SOCKET SO_BROADCAST SO_KEEPALIVE SO_REUSEADDR SO_REUSEPORT TCP_NODELAY create_connection create_server error \
fromfd gaierror getaddrinfo getfqdn gethostbyname gethostname herror htonl htons inet_aton inet_ntoa inet_ntop \
inet_pton ntohl ntohs setdefaulttimeout socket socketpair timeout
stat: S_IMODE S_IRUSR S_ISDIR S_ISLNK S_ISREG S_IWUSR S_IXGRP S_IXOTH S_IXUSR filemode
statistics: NormalDist StatisticsError fmean geometric_mean harmonic_mean mean median median_high median_low mode \
multimode pstdev pvariance quantiles stdev variance
string: Formatter Template ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable \
punctuation whitespace
struct: Struct calcsize error iter_unpack pack pack_into unpack unpack_from
time: asctime ctime get_clock_info gmtime localtime mktime monotonic monotonic_ns perf_counter perf_counter_ns \
process_time process_time_ns sleep strftime strptime struct_time thread_time time time_ns timezone tzset
token: NAME NUMBER OP STRING tok_name
types: AsyncGeneratorType BuiltinFunctionType CodeType CoroutineType DynamicClassAttribute EllipsisType FrameType \
FunctionType GeneratorType GenericAlias LambdaType MappingProxyType MethodType ModuleType NoneType SimpleNamespace \
TracebackType UnionType coroutine new_class
uuid: NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL UUID getnode uuid1 uuid3 uuid4 uuid5
"""
_MEMBERS = """
abc: ABC ABCMeta abstractmethod
argparse: ArgumentParser ArgumentTypeError
ast: NodeTransformer NodeVisitor literal_eval
base64: b64decode b64encode
bisect: bisect bisect_left bisect_right insort
collections: ChainMap Counter OrderedDict UserDict UserList defaultdict deque namedtuple
concurrent.futures: ProcessPoolExecutor ThreadPoolExecutor as_completed
contextlib: AbstractAsyncContextManager AbstractContextManager AsyncExitStack ExitStack asynccontextmanager \
contextmanager nullcontext redirect_stdout suppress
copy: copy deepcopy
csv: DictReader DictWriter
dataclasses: asdict astuple dataclass field is_dataclass
datetime: date datetime timedelta timezone
decimal: Decimal InvalidOperation ROUND_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP getcontext localcontext
difflib: SequenceMatcher get_close_matches
enum: Enum Flag IntEnum IntFlag StrEnum auto
fnmatch: fnmatch
fractions: Fraction
functools: cache cached_property cmp_to_key lru_cache partial partialmethod reduce singledispatch total_ordering \
update_wrapper wraps
getpass: getpass
glob: glob
hashlib: md5 sha1 sha256 sha512
heapq: heapify heappop heappush heappushpop heapreplace nlargest nsmallest
importlib: import_module
importlib.metadata: PackageNotFoundError
importlib.util: find_spec
inspect: isclass isfunction ismethod
io: BytesIO StringIO TextIOWrapper
ipaddress: IPv4Address IPv4Network IPv6Address IPv6Network ip_address ip_network
itertools: accumulate chain combinations combinations_with_replacement dropwhile groupby islice pairwise permutations \
product starmap takewhile zip_longest
json: JSONDecodeError JSONEncoder
logging: getLogger
math: acos asin atan atan2 ceil comb cos degrees factorial floor fsum gcd hypot inf isclose isinf isnan isqrt lcm \
log10 log2 nan perm pi prod radians sin sqrt tan tau
numbers: Integral Number Real
operator: attrgetter itemgetter methodcaller
pathlib: Path PosixPath PurePath PurePosixPath PureWindowsPath
pprint: pformat pprint
random: randint randrange shuffle
shutil: copyfile copytree rmtree
statistics: fmean median pstdev pvariance stdev
stat: S_ISDIR S_ISREG S_IRUSR S_IWUSR S_IXUSR S_IXGRP S_IXOTH
string: ascii_letters ascii_lowercase ascii_uppercase
subprocess: CalledProcessError PIPE Popen TimeoutExpired
tempfile: NamedTemporaryFile TemporaryDirectory mkdtemp mkstemp
textwrap: dedent
threading: Thread
time: monotonic perf_counter
traceback: format_exc print_exc
types: FunctionType MappingProxyType MethodType ModuleType SimpleNamespace TracebackType
typing: Annotated Any BinaryIO ClassVar DefaultDict Dict Final FrozenSet Generic IO List Literal NamedTuple NoReturn \
Optional ParamSpec Protocol Set TYPE_CHECKING TextIO Tuple Type TypeVar TypedDict Union get_type_hints overload \
runtime_checkable
unittest: TestCase
unittest.mock: MagicMock Mock patch
urllib.parse: parse_qs parse_qsl urlencode urljoin urlparse urlsplit urlunparse urlunsplit
uuid: UUID uuid4
warnings: catch_warnings simplefilter
weakref: WeakKeyDictionary WeakSet WeakValueDictionary
zipfile: ZipFile
zoneinfo: ZoneInfo
"""
_ABSTRACT = """
AsyncGenerator AsyncIterable AsyncIterator Awaitable Callable Collection Container Coroutine Generator Hashable
ItemsView Iterable Iterator KeysView Mapping MutableMapping MutableSequence MutableSet Reversible Sequence \
Sized ValuesView
"""
_CLASS_PARTS = """
chain: from_iterable
date: fromisocalendar fromisoformat fromordinal fromtimestamp max min today
datetime: combine fromisocalendar fromisoformat fromordinal fromtimestamp max min now strptime today \
utcfromtimestamp utcnow
timezone: utc
"""
_SUBMODULES = """
collections.abc concurrent.futures concurrent.futures.thread email.header email.message email.mime.application
email.mime.multipart email.mime.text email.parser email.policy email.utils encodings.idna html.entities html.parser
http.client http.cookiejar http.cookies http.server importlib.abc importlib.machinery importlib.metadata
importlib.resources importlib.util logging.config logging.handlers multiprocessing.connection multiprocessing.managers
multiprocessing.pool multiprocessing.shared_memory tkinter.filedialog tkinter.messagebox tkinter.ttk
unittest.mock urllib.error urllib.parse urllib.request urllib.response urllib.robotparser wsgiref.simple_server
xml.dom.minidom xml.etree.ElementTree xml.sax xml.sax.handler xml.sax.saxutils xmlrpc.client xmlrpc.server
"""


def _rows(table: str) -> Iterator[tuple[str, frozenset[str]]]:
    for row in table.strip().split("\n"):
        name, _, parts = row.partition(": ")
        yield name, frozenset(parts.split())


MODULES: Mapping[str, frozenset[str]] = MappingProxyType(
    dict.fromkeys(_MODULES.split(), frozenset()) | dict(_rows(_PARTS))
)
"""Module: what of it may be asked for; empty for any. A module whose name variables have, too, is told by its parts."""
MEMBERS: Mapping[str, str] = MappingProxyType({name: home for home, names in _rows(_MEMBERS) for name in names})
"""Member: its module. A name that several modules have, or that other libraries have first, is not here."""
ABSTRACT = frozenset(_ABSTRACT.split())
"""Members of both collections.abc and typing."""
CLASS_PARTS: Mapping[str, frozenset[str]] = MappingProxyType(dict(_rows(_CLASS_PARTS)))
"""Lower-case class: what is asked of the class itself, and not of a variable that is named alike."""
CONSTANTS = frozenset({"pi", "tau", "inf", "nan", "ascii_letters", "ascii_lowercase", "ascii_uppercase"})
"""Lower-case members that are not called."""
SUBMODULES = frozenset(_SUBMODULES.split())
"""Modules that have to be imported by their whole name."""
