/* engine/image/change.c: a table from instruction to setter.
 *
 * The text behind the keyword is either exec form (a JSON array of strings) or
 * shell form; what looks like an array but is not JSON is shell form, as in
 * Docker, because `[ -e x ] && y` is a command.  Words are split and unquoted as
 * BuildKit's shell lexer does; variables are not expanded here (the builder does
 * that before it calls).
 */
#include "engine/image/change.h"

#include <ctype.h>
#include <signal.h>
#include <strings.h>

#include "base/path.h"
#include "base/strv.h"

#define BLANKS	 " \t\r\n"
#define LIST_MAX 10000

struct instruction {
	const char *name;
	int (*apply)(struct image_config *c, const char *text, struct err *e);
};

static void replace(char ***where, char **with)
{
	strv_free(*where);
	*where = with;
}

static void add_once(char ***list, const char *s)
{
	if (!strv_has(*list, s))
		strv_add(list, s);
}

/* ---- words ---------------------------------------------------------------------------- */

/* Take one word off *p, quotes removed; blanks end it unless @whole. */
static int take_word(const char **p, char escape, bool whole, struct buf *out, struct err *e)
{
	char quote = '\0';

	for (; **p; (*p)++) {
		char ch = **p;

		if (!quote && !whole && strchr(BLANKS, ch))
			break;
		if (ch == quote) {
			quote = '\0';
		} else if (!quote && (ch == '"' || ch == '\'')) {
			quote = ch;
		} else if (ch == escape && quote != '\'' && (*p)[1] &&
			   (!quote || strchr("\"$", (*p)[1]) || (*p)[1] == escape)) {
			(*p)++;
			buf_addc(out, **p);
		} else {
			buf_addc(out, ch);
		}
	}
	if (quote)
		return err_set(e, EINVAL,
			       "unexpected end of statement while looking for matching %c", quote);
	return 0;
}

char **change_split_words(const char *text, char escape, struct err *e)
{
	_cleanup_(strv_freep) char **words = xcalloc(1, sizeof(*words));

	for (text += strspn(text, BLANKS); *text; text += strspn(text, BLANKS)) {
		_cleanup_(buf_done) struct buf word = BUF_INIT;

		if (take_word(&text, escape, false, &word, e) < 0)
			return NULL;
		strv_add(&words, buf_str(&word));
	}
	return TAKE_PTR(words);
}

int change_exec_form(const char *text, char ***out, struct err *e)
{
	_cleanup_(json_unrefp) json *j = NULL;
	_cleanup_(strv_freep) char **words = xcalloc(1, sizeof(*words));

	if (*text != '[')
		return 0;
	if (json_parse(text, strlen(text), &j, NULL) < 0 || !json_is_array(j))
		return 0;
	if (json_len(j) > LIST_MAX)
		return err_set(e, E2BIG, "a list of more than %d strings", LIST_MAX);
	for (size_t i = 0; i < json_len(j); i++) {
		if (!json_is_str(json_at(j, i)))
			return err_set(e, EINVAL, "only strings may be in the list");
		strv_add(&words, json_str(json_at(j, i)));
	}
	*out = TAKE_PTR(words);
	return 1;
}

/* No command starts like this, but a Python list does. */
static int exec_form(const char *text, char ***out, struct err *e)
{
	int r = change_exec_form(text, out, e);

	if (r == 0 && skip_prefix(text, "['"))
		return err_set(e, EINVAL, "a list needs double quotes: [\"…\"]");
	return r;
}

char **change_with_shell(const struct image_config *c, const char *text)
{
	char **words = strv_copy(c->shell);

	if (!words) {
		strv_add(&words, "/bin/sh");
		strv_add(&words, "-c");
	}
	strv_add(&words, text);
	return words;
}

/* A command in either form: shell form is run by the image's shell. */
static int command(const struct image_config *c, const char *text, char ***out, struct err *e)
{
	char **words = NULL;
	int r = exec_form(text, &words, e);

	if (r < 0)
		return r;
	if (r == 0)
		words = change_with_shell(c, text);
	replace(out, words);
	return 0;
}

/* ---- instructions ------------------------------------------------------------------------ */

static int apply_cmd(struct image_config *c, const char *text, struct err *e)
{
	return command(c, text, &c->cmd, e);
}

static int apply_entrypoint(struct image_config *c, const char *text, struct err *e)
{
	return command(c, text, &c->entrypoint, e);
}

/* "a=b c='d e'", or the old "key all the rest". */
static int pairs(char ***out, const char *text, struct err *e)
{
	size_t first = strcspn(text, BLANKS);

	if (!memchr(text, '=', first)) {
		_cleanup_(free_p) char *key = xstrndup(text, first);
		_cleanup_(buf_done) struct buf value = BUF_INIT;

		text += first;
		text += strspn(text, BLANKS);
		if (!*text)
			return err_set(e, EINVAL, "\"%.100s\" needs a value: KEY=VALUE", key);
		if (take_word(&text, '\\', true, &value, e) < 0)
			return -EINVAL;
		strv_env_set(out, key, buf_str(&value));
		return 0;
	}
	_cleanup_(strv_freep) char **words = change_split_words(text, '\\', e);

	if (!words)
		return -EINVAL;
	STRV_FOREACH (w, words) {
		const char *eq = strchr(*w, '=');
		_cleanup_(free_p) char *key = eq ? xstrndup(*w, (size_t)(eq - *w)) : NULL;

		if (!eq)
			return err_set(
				e, EINVAL,
				"\"%.100s\" is not KEY=VALUE (a value with blanks needs quotes)",
				*w);
		if (!*key)
			return err_set(e, EINVAL, "a name cannot be empty");
		strv_env_set(out, key, eq + 1);
	}
	return 0;
}

static int apply_env(struct image_config *c, const char *text, struct err *e)
{
	return pairs(&c->env, text, e);
}

static int apply_label(struct image_config *c, const char *text, struct err *e)
{
	return pairs(&c->labels, text, e);
}

int change_expose(struct image_config *c, const char *word, struct err *e)
{
	_cleanup_(free_p) char *ports = xstrdup(word);
	char *slash = strchr(ports, '/'), *dash;
	const char *protocol = "tcp";
	uint64_t first, last;

	if (slash) {
		*slash = '\0';
		protocol = slash + 1;
	}
	dash = strchr(ports, '-');
	if (dash)
		*dash = '\0';
	if (!parse_u64(ports, &first) || !parse_u64(dash ? dash + 1 : ports, &last) || first == 0 ||
	    last < first || last > 65535)
		return err_set(e, EINVAL, "\"%.100s\" is not a port", word);
	if (strcasecmp(protocol, "tcp") && strcasecmp(protocol, "udp") &&
	    strcasecmp(protocol, "sctp"))
		return err_set(e, EINVAL, "\"%.100s\" is not tcp, udp or sctp", protocol);
	for (; first <= last; first++) {
		_cleanup_(free_p) char *port = xasprintf("%ju/%s", (uintmax_t)first, protocol);

		for (char *p = port; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		add_once(&c->exposed, port);
	}
	return 0;
}

static int apply_expose(struct image_config *c, const char *text, struct err *e)
{
	_cleanup_(strv_freep) char **words = change_split_words(text, '\\', e);
	int r = words ? 0 : -EINVAL;

	for (char **w = words; r == 0 && *w; w++)
		r = change_expose(c, *w, e);
	return r;
}

/* One word, unquoted as a whole. */
static int single(const char *text, char **out, struct err *e)
{
	_cleanup_(buf_done) struct buf word = BUF_INIT;

	if (take_word(&text, '\\', true, &word, e) < 0)
		return -EINVAL;
	str_set(out, buf_str(&word));
	return 0;
}

static int apply_user(struct image_config *c, const char *text, struct err *e)
{
	if (strpbrk(text, BLANKS))
		return err_set(e, EINVAL, "takes one argument");
	return single(text, &c->user, e);
}

void change_workdir(struct image_config *c, const char *dir)
{
	_cleanup_(free_p) char *old = TAKE_PTR(c->workdir);

	c->workdir = path_absolute(old && *old == '/' ? old : "/", dir);
}

static int apply_workdir(struct image_config *c, const char *text, struct err *e)
{
	_cleanup_(free_p) char *dir = NULL;
	int r = single(text, &dir, e);

	if (r == 0)
		change_workdir(c, dir);
	return r;
}

int change_add_volume(struct image_config *c, const char *dir, struct err *e)
{
	if (!*dir)
		return err_set(e, EINVAL, "a volume cannot be an empty string");
	add_once(&c->volumes, dir);
	return 0;
}

static int apply_volume(struct image_config *c, const char *text, struct err *e)
{
	_cleanup_(strv_freep) char **dirs = NULL;
	int r = exec_form(text, &dirs, e);

	if (r < 0)
		return r;
	if (r == 0)
		dirs = change_split_words(text, '\\', e);
	if (!dirs)
		return -EINVAL;
	r = 0;
	for (char **d = dirs; *d && r == 0; d++)
		r = change_add_volume(c, *d, e);
	return r;
}

static bool is_signal(const char *s)
{
	const char *name = strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
	uint64_t n;

	if (parse_u64(s, &n))
		return n > 0 && n <= (uint64_t)SIGRTMAX;
	for (int sig = 1; sig < SIGRTMIN; sig++)
		if (sigabbrev_np(sig) && strcasecmp(name, sigabbrev_np(sig)) == 0)
			return true;
	return strncasecmp(name, "RTMIN", 5) == 0 || strncasecmp(name, "RTMAX", 5) == 0;
}

int change_stop_signal(struct image_config *c, const char *text, struct err *e)
{
	if (!is_signal(text))
		return err_set(e, EINVAL, "\"%.100s\" is not a signal", text);
	str_set(&c->stop_signal, text);
	return 0;
}

static int apply_shell(struct image_config *c, const char *text, struct err *e)
{
	char **words = NULL;
	int r = exec_form(text, &words, e);

	if (r < 0)
		return r;
	if (r == 0 || !words[0]) {
		strv_free(words);
		return err_set(e, EINVAL, "needs a JSON list: [\"/bin/bash\", \"-c\"]");
	}
	replace(&c->shell, words);
	return 0;
}

static int apply_onbuild(struct image_config *c, const char *text, struct err *e)
{
	static const char *const never[] = { "ONBUILD", "FROM", "MAINTAINER" };
	size_t n = strcspn(text, BLANKS);

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (n == strlen(never[i]) && strncasecmp(text, never[i], n) == 0)
			return err_set(e, EINVAL, "%s is not allowed as a trigger", never[i]);
	strv_add(&c->onbuild, text);
	return 0;
}

/* ---- HEALTHCHECK --------------------------------------------------------------------------- */

/* "1m30s", "500ms", "0": Go's time.ParseDuration without signs. */
static bool parse_duration(const char *s, uint64_t *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ns", 1 },  { "us", 1e3 }, { "ms", 1e6 },
		      { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	double total = 0;

	*ns = 0;
	if (streq(s, "0"))
		return true;
	if (!*s)
		return false;
	while (*s) {
		double value = 0, scale = 1;
		size_t i, digits = 0, n;

		for (; isdigit((unsigned char)*s); s++, digits++)
			value = value * 10 + (*s - '0');
		if (*s == '.')
			for (s++; isdigit((unsigned char)*s); s++, digits++)
				value += (*s - '0') * (scale /= 10);
		n = strspn(s, "numsh");
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (n == strlen(units[i].unit) && strncmp(s, units[i].unit, n) == 0)
				break;
		if (digits == 0 || i == ARRAY_SIZE(units))
			return false;
		total += value * units[i].ns;
		s += n;
	}
	if (total >= 9.2e18)
		return false;
	*ns = (uint64_t)total;
	return true;
}

int change_health_flag(struct image_health *h, const char *flag, struct err *e)
{
	const struct {
		const char *name;
		uint64_t *ns;
	} durations[] = { { "--interval=", &h->interval },
			  { "--timeout=", &h->timeout },
			  { "--start-period=", &h->start_period },
			  { "--start-interval=", &h->start_interval } };
	const char *value;

	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		value = skip_prefix(flag, durations[i].name);
		if (!value)
			continue;
		if (!parse_duration(value, durations[i].ns))
			return err_set(e, EINVAL, "\"%.100s\" is not a duration", flag);
		if (*durations[i].ns > 0 && *durations[i].ns < NSEC_PER_MSEC)
			return err_set(e, EINVAL, "\"%.100s\" is less than 1ms", flag);
		return 0;
	}
	value = skip_prefix(flag, "--retries=");
	if (!value)
		return err_set(e, EINVAL, "unknown flag: %.100s", flag);
	if (!parse_i64(value, &h->retries) || h->retries < 0 || h->retries > INT32_MAX)
		return err_set(e, EINVAL, "\"%.100s\" is not a number of tries", flag);
	return 0;
}

static int health_test(struct image_config *c, const char *text, char ***out, struct err *e)
{
	_cleanup_(strv_freep) char **words = NULL;
	int r = exec_form(text, &words, e);

	if (r < 0)
		return r;
	if (!*text || (r > 0 && !words[0]))
		return err_set(e, EINVAL, "missing command after CMD");
	strv_add(out, r > 0 ? "CMD" : "CMD-SHELL");
	if (r > 0)
		strv_extend(out, words);
	else
		strv_add(out, text);
	return 0;
}

static int apply_healthcheck(struct image_config *c, const char *text, struct err *e)
{
	struct image_health h = { 0 };
	size_t n;
	int r;

	while (skip_prefix(text, "--")) {
		_cleanup_(free_p) char *flag = xstrndup(text, strcspn(text, BLANKS));

		r = change_health_flag(&h, flag, e);
		if (r < 0)
			return r;
		text += strlen(flag);
		text += strspn(text, BLANKS);
	}
	n = strcspn(text, BLANKS);
	if (n == 4 && strncasecmp(text, "NONE", n) == 0) {
		if (text[n + strspn(text + n, BLANKS)])
			return err_set(e, EINVAL, "NONE takes no arguments");
		strv_add(&h.test, "NONE");
	} else if (n == 3 && strncasecmp(text, "CMD", n) == 0) {
		r = health_test(c, text + n + strspn(text + n, BLANKS), &h.test, e);
		if (r < 0) {
			strv_free(h.test);
			return r;
		}
	} else {
		return err_set(e, EINVAL, "needs CMD or NONE");
	}
	strv_free(c->health.test);
	c->health = h;
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct instruction instructions[] = {
	{ "CMD", apply_cmd },
	{ "ENTRYPOINT", apply_entrypoint },
	{ "ENV", apply_env },
	{ "EXPOSE", apply_expose },
	{ "HEALTHCHECK", apply_healthcheck },
	{ "LABEL", apply_label },
	{ "ONBUILD", apply_onbuild },
	{ "SHELL", apply_shell },
	{ "STOPSIGNAL", change_stop_signal },
	{ "USER", apply_user },
	{ "VOLUME", apply_volume },
	{ "WORKDIR", apply_workdir },
};

static int unknown(const char *word, struct err *e)
{
	const char *names[ARRAY_SIZE(instructions)], *near;
	_cleanup_(free_p) char *upper = xstrndup(word, 32);

	for (char *p = upper; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++)
		names[i] = instructions[i].name;
	near = nearest_word(upper, names, ARRAY_SIZE(names));
	err_set(e, EINVAL, "%.32s is not an instruction that sets configuration", upper);
	return near ? err_hint(e, "did you mean %s?", near) : -EINVAL;
}

int change_apply(struct image_config *c, const char *text, struct err *e)
{
	_cleanup_(free_p) char *line = xstrdup(text + strspn(text, BLANKS));
	size_t n = strcspn(line, BLANKS), end = strlen(line);
	const char *rest;

	while (end > 0 && strchr(BLANKS, line[end - 1]))
		line[--end] = '\0';
	if (!*line)
		return err_set(e, EINVAL, "an empty instruction");
	rest = line + n + strspn(line + n, BLANKS);
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		const char *name = instructions[i].name;
		int r;

		if (n != strlen(name) || strncasecmp(line, name, n) != 0)
			continue;
		r = *rest ? instructions[i].apply(c, rest, e)
			  : err_set(e, EINVAL, "needs at least one argument");
		return r < 0 ? err_wrap(e, r, "%s", name) : 0;
	}
	line[n] = '\0';
	return unknown(line, e);
}
