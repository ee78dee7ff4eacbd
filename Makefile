# comp: one Makefile, non-recursive.  `make help` lists the targets.
#
# FLAVOR picks a build below build/: release (default), sanitize (ASan+UBSan),
# fuzz (clang, libFuzzer), cover (gcov).  Sources are taken by folder: every *.c
# goes into its folder's archive, except *_main.c and cli/main.c, which are
# programs.  A unit test tests/unit/DIR/test_x.c links the archives that DIR may
# use, so a folder can be tested while another does not compile.

FLAVOR	?= release
B	:= build/$(FLAVOR)
PREFIX	?= /usr/local
DESTDIR	?=
VERSION	:= $(shell sed -n 's/^\#define COMP_VERSION "\(.*\)"/\1/p' base/version.h 2>/dev/null)

CC	?= gcc
CFLAGS	?= -O2 -g
WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	   -Wvla -Wno-unused-parameter -Wno-missing-field-initializers
# snprintf(3) into a bounded buffer cuts on purpose everywhere it is used here.
WARN	+= -Wno-format-truncation
ifneq ($(CI),)
WARN	+= -Werror
endif
CPPFLAGS += -I. -D_GNU_SOURCE -D_FORTIFY_SOURCE=2
STD	:= -std=gnu17 -fno-strict-aliasing -fstack-protector-strong
LDFLAGS	+= -Wl,--as-needed -Wl,-z,relro
LIBS	:= -lyaml -ljson-c -lnl-route-3 -lnl-3 -lseccomp -lcap -lnettle
CPPFLAGS += -I/usr/include/libnl3

ifeq ($(FLAVOR),sanitize)
SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS	:= -O1 -g
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
endif
ifeq ($(FLAVOR),fuzz)
CC	:= clang
WARN	+= -Wno-unknown-warning-option # clang 14 has no format-truncation to switch off
SAN	:= -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined
CFLAGS	:= -O1 -g
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
endif
ifeq ($(FLAVOR),cover)
SAN	:= --coverage
CFLAGS	:= -O0 -g
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
endif
STATIC	:= $(if $(SAN),,-static)

# ---- sources, by folder; later archives may use earlier ones ----------------
FOLDERS	:= base net volumes engine/state engine/image engine/container engine/supervise engine/build compose cli
MAINS	:= $(wildcard cli/main.c $(FOLDERS:%=%/*_main.c))
sources	= $(filter-out $(MAINS),$(sort $(wildcard $(1)/*.c)))
archive	= $(B)/lib$(subst /,-,$(1)).a
objects	= $(patsubst %.c,$(B)/obj/%.o,$(call sources,$(1)))

BELOW_base		:=
BELOW_net		:= base
BELOW_volumes		:= base
BELOW_engine/state	:= base
BELOW_engine/image	:= engine/state volumes base
BELOW_engine/container	:= engine/image engine/state net volumes base
BELOW_engine/supervise	:= engine/container engine/image engine/state net volumes base
BELOW_engine/build	:= engine/supervise engine/container engine/image engine/state net volumes base
BELOW_compose		:= engine/build engine/supervise engine/container engine/image engine/state net volumes base
BELOW_cli		:= compose engine/build engine/supervise engine/container engine/image engine/state net volumes base
archives = $(call archive,$(1)) $(foreach d,$(BELOW_$(1)),$(call archive,$(d)))

PROGRAMS := comp comp-nft comp-extract comp-fetch comp-nethelper comp-monitor comp-init
HAVE	 := $(if $(wildcard cli/main.c),comp) \
	    $(if $(wildcard net/nft_main.c),comp-nft) \
	    $(if $(wildcard engine/image/extract_main.c),comp-extract) \
	    $(if $(wildcard engine/image/fetch_main.c),comp-fetch) \
	    $(if $(wildcard engine/supervise/nethelper_main.c),comp-nethelper) \
	    $(if $(wildcard engine/supervise/monitor_main.c),comp-monitor) \
	    $(if $(wildcard engine/container/tiny_main.c),comp-init)

.PHONY: all
all: $(HAVE:%=$(B)/%)

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(SAN) $(WARN) -MMD -MP -c $< -o $@

define archive_rule
$(call archive,$(1)): $(call objects,$(1))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach d,$(FOLDERS),$(eval $(call archive_rule,$(d))))

$(B)/comp: $(B)/obj/cli/main.o $(call archives,cli)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/comp-nft: $(B)/obj/net/nft_main.o $(call archives,net)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ -lnftables -ljson-c
$(B)/comp-extract: $(B)/obj/engine/image/extract_main.o $(call archives,engine/image)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ -larchive -lnettle -lseccomp -lcap -ljson-c
$(B)/comp-fetch: $(B)/obj/engine/image/fetch_main.o $(call archives,engine/image)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ -lcurl -lnettle -lseccomp -ljson-c
$(B)/comp-nethelper: $(B)/obj/engine/supervise/nethelper_main.o $(call archives,net)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ -lseccomp -ljson-c
# These two stay for every running container, and are started for each: static, so that
# there are no relocations of shared objects to pay for in memory, and with musl
# where it is installed: glibc begins each program with some 70 cpuid instructions,
# and a virtual machine traps every one (half a millisecond in all).
MUSL	:= $(shell command -v musl-gcc)
MUSL_INC := $(if $(MUSL),-U_FORTIFY_SOURCE -idirafter /usr/include \
	-idirafter /usr/include/$(shell $(CC) -dumpmachine))
TINY_CC	:= $(if $(SAN),$(CC),$(or $(MUSL),$(CC)))
TINY_FLAGS := $(CPPFLAGS) $(STD) $(CFLAGS) $(WARN) -ffunction-sections -fdata-sections

$(B)/tiny/%.o: %.c
	@mkdir -p $(@D)
	$(TINY_CC) $(TINY_FLAGS) $(if $(SAN),$(SAN),$(MUSL_INC)) -MMD -MP -c $< -o $@
$(B)/comp-monitor: $(patsubst %,$(B)/tiny/%.o,engine/state/exit_slot base/util base/fd base/err base/buf \
		   $(addprefix engine/supervise/,monitor_main log_writer successor))
	$(TINY_CC) $(CFLAGS) $(SAN) $(STATIC) -Wl,--gc-sections -o $@ $^
# Runs in containers, which have no libraries for it: never sanitized.
$(B)/comp-init: engine/container/tiny_main.c
	@mkdir -p $(@D)
	$(or $(MUSL),$(CC)) $(TINY_FLAGS) $(MUSL_INC) -static -Wl,--gc-sections -o $@ $<

# ---- tests -------------------------------------------------------------------
UNIT_SRC := $(sort $(shell find tests/unit -name 'test_*.c' 2>/dev/null))
UNIT	 := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
unit_dir = $(patsubst %/,%,$(dir $(1:tests/unit/%=%)))

define unit_rule
$(B)/unit/$(1:tests/unit/%.c=%): $(B)/obj/$(1:.c=.o) $(call archives,$(call unit_dir,$(1)))
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(SAN) $$(LDFLAGS) -o $$@ $$^ -lcmocka $$(LIBS) -larchive
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(t))))

FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ	 := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
ifeq ($(FLAVOR),fuzz)
FUZZ_ENGINE := -fsanitize=fuzzer
else
FUZZ_ENGINE := $(B)/obj/tests/fuzz/replay.o
endif
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(filter %.o,$(FUZZ_ENGINE)) $(call archives,cli)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ $(filter -f%,$(FUZZ_ENGINE)) $(LIBS) -larchive

.PHONY: unit fuzzers helpers
unit: $(UNIT)
fuzzers: $(FUZZ)
helpers: $(B)/lib/atk

# ---- what people type ----------------------------------------------------------
BUILD_PACKAGES := gcc libc6-dev make pkg-config libyaml-dev libnl-3-dev libnl-route-3-dev \
	libjson-c-dev libseccomp-dev libcap-dev libarchive-dev nettle-dev libnftables-dev \
	libcurl4-openssl-dev musl-tools
DEMO_PACKAGES  := mmdebstrap ca-certificates curl
CHECK_PACKAGES := libcmocka-dev busybox-static skopeo umoci nftables iproute2 python3 attr e2fsprogs zstd jq \
	curl procps mmdebstrap shellcheck systemd docker-registry \
	apache2-utils openssl podman docker.io git openssh-client
VM_PACKAGES    := mmdebstrap qemu-system-x86 e2fsprogs
INSTALL := DEBIAN_FRONTEND=noninteractive tests/lib/apt-install

.PHONY: help demo demo-down check check-unit check-fuzz check-spec check-build \
	check-integration check-faults check-vm bench \
	layers format tidy cppcheck compdb install clean
help:
	@echo 'make                the programs, in build/$(FLAVOR)/'
	@echo 'sudo make demo      install what is needed, build, bring WordPress up'
	@echo 'sudo make demo-down take it away again (volumes stay)'
	@echo 'sudo make check     install what is needed, build with sanitizers, run every test'
	@echo 'make check-unit check-fuzz check-spec check-build check-integration    parts of it'
	@echo 'make check-faults   kill comp at every point of its work, see it carry on'
	@echo 'sudo make check-vm  integration tests with cgroup v2, in a virtual machine'
	@echo 'make bench          the budget table, as ratios to tests/bench/floor'
	@echo 'make layers format tidy cppcheck compdb install clean'

demo:
	$(INSTALL) $(BUILD_PACKAGES) $(DEMO_PACKAGES)
	$(MAKE) all
	samples/wordpress/images/base.sh $(B)/comp
	$(B)/comp -f samples/wordpress/compose.yaml up -d
	tests/lib/wait-http http://localhost:8000/ 60
	@echo
	@echo 'WordPress answers at http://localhost:8000'

demo-down:
	$(B)/comp -f samples/wordpress/compose.yaml down

check:
	$(INSTALL) $(BUILD_PACKAGES) $(CHECK_PACKAGES)
	$(MAKE) FLAVOR=release all faulty build/release/lib/faultstep
	$(MAKE) FLAVOR=sanitize all unit fuzzers helpers
	tests/lib/run-checks

check-unit check-fuzz check-spec check-build check-integration: check-%:
	$(MAKE) FLAVOR=sanitize all unit fuzzers helpers
	tests/lib/run-checks $*

# The same on a machine with cgroup v2 and Debian's own kernel, under emulation.
check-vm:
	$(INSTALL) $(BUILD_PACKAGES) $(VM_PACKAGES)
	$(MAKE) FLAVOR=release all helpers
	tests/lib/vm $(VM_TESTS)

# SIGKILL at the n-th state-changing system call: at every one.
FAULT_POINTS ?= all
check-faults:
	$(MAKE) FLAVOR=release all faulty build/release/lib/faultstep
	for t in 70-kill-points 71-errors 73-allocations 74-power-loss; do \
		FLAVOR=release COMP_BIN=$(CURDIR)/build/release/comp \
		FAULT_POINTS=$(FAULT_POINTS) bash tests/integration/$$t.sh || exit 1; done

bench: all $(B)/bench/floor $(B)/bench/writer
	tests/bench/run $(B)

$(B)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(WARN) $(if $(findstring writer,$@),-static) -o $@ $<

# Programs that tests use: tests/lib/faultstep.c, and the attacker, which runs in
# containers that have no libraries.
$(B)/lib/atk: tests/attack/atk.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -I.,$(CPPFLAGS)) $(STD) -O2 $(WARN) -static -o $@ $<
$(B)/lib/%: tests/lib/%.c $(wildcard tests/lib/*.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(STD) $(CFLAGS) $(WARN) -o $@ $<

# Comp as a later version would be, of the same sources: for tests/integration/58-upgrade.sh.
# next: another version; proto: another protocol as well.
NEXT_SRC := $(shell grep -lE 'COMP_VERSION|CONTROL_VERSION' $(foreach d,$(FOLDERS),$(wildcard $(d)/*.c)))
define next_rule
$(B)/$(1)/obj/%.o: %.c base/version.h engine/supervise/control.h
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $(2) $$(STD) $$(CFLAGS) $$(SAN) $$(WARN) -c $$< -o $$@
$(B)/$(1)/comp: $(NEXT_SRC:%.c=$(B)/$(1)/obj/%.o) $(HAVE:%=$(B)/%)
	cp -f $(filter-out $(B)/comp,$(HAVE:%=$(B)/%)) $(B)/$(1)/
	$$(CC) $$(CFLAGS) $$(SAN) $$(LDFLAGS) -o $$@ $(NEXT_SRC:%.c=$(B)/$(1)/obj/%.o) \
		$(call archives,cli) $$(LIBS)
endef
$(eval $(call next_rule,next,-DCOMP_VERSION='"99.0"'))
$(eval $(call next_rule,proto,-DCOMP_VERSION='"99.1"' -DCONTROL_VERSION=99))

# The programs with a malloc(3) that fails on demand: tests/lib/failmalloc.c.  The two
# small static ones hardly allocate and are as they are.
FAULTY	:= $(B)/faulty
.PHONY: faulty
faulty: $(HAVE:%=$(FAULTY)/%)
$(FAULTY)/comp: $(B)/obj/cli/main.o $(call archives,cli)
$(FAULTY)/comp-nft: $(B)/obj/net/nft_main.o $(call archives,net)
$(FAULTY)/comp-extract: $(B)/obj/engine/image/extract_main.o $(call archives,engine/image)
$(FAULTY)/comp-nethelper: $(B)/obj/engine/supervise/nethelper_main.o $(call archives,net)
$(FAULTY)/comp $(FAULTY)/comp-nft $(FAULTY)/comp-extract $(FAULTY)/comp-nethelper: \
		$(B)/obj/tests/lib/failmalloc.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter-out %.a,$^) $(filter %.a,$^) $(LIBS) \
		-larchive -lnftables -lgcc_s
$(FAULTY)/comp-%: $(B)/comp-%
	@mkdir -p $(@D)
	cp $< $@

# Include directions: see the picture in README.md.
layers:
	tests/lib/check-layers

format:
	clang-format -i $$(git ls-files '*.c' '*.h')
tidy:
	clang-tidy --quiet $$(git ls-files '*.c' | grep -v ^tests/) -- $(CPPFLAGS) $(STD)
cppcheck:
	cppcheck --quiet --enable=warning,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem \
		--suppressions-list=tests/lib/cppcheck-suppressions -I. $$(git ls-files '*.c' | grep -v ^tests/)
compdb: clean
	bear -- $(MAKE) all

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/comp
	install -m 0755 $(B)/comp $(DESTDIR)$(PREFIX)/bin/comp
	install -m 0755 $(filter-out $(B)/comp,$(HAVE:%=$(B)/%)) $(DESTDIR)$(PREFIX)/libexec/comp/

clean:
	rm -rf build/release build/sanitize build/fuzz build/cover

-include $(shell find $(B)/obj $(B)/tiny -name '*.d' 2>/dev/null)
# Keep the objects of programs that are made by chains of pattern rules.
.PRECIOUS: $(B)/obj/%.o
