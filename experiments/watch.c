/* watch.c - the curves of runs in the terminal, while they go on. */
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lab/canvas.h"
#include "lab/cli.h"
#include "lab/follow.h"
#include "lab/memory.h"
#include "lab/progress.h"

enum { MAX_RUNS = 64, MAX_PANELS = 12 };
#define PRESET "train/loss,val/nll,train/lr,rate"

typedef struct {
	bool once, ascii, no_colour;
	double every;
	int64_t width, height;
	const char *series;
} options;

static const lab_option option[] = {
	{ "once", LAB_FLAG, offsetof(options, once), NULL, NULL, 0, 0,
	  "Draw once and end; this is so anyway when the output is no terminal, or no run goes on.", LAB_LOCAL },
	{ "series", LAB_TEXT, offsetof(options, series), "A,B,..", PRESET, 0, 0,
	  "What to draw: series of the log by name, metric/NAME too; rate is steps per second.", LAB_LOCAL },
	{ "every", LAB_REAL, offsetof(options, every), "S", "1", 0.05, 3600, "Look at the files every S seconds.",
	  LAB_LOCAL },
	{ "ascii", LAB_FLAG, offsetof(options, ascii), NULL, NULL, 0, 0,
	  "Letters instead of Braille dots; so anyway in a locale that is not UTF-8, and for several runs without "
	  "colours.",
	  LAB_LOCAL },
	{ "no-colour", LAB_FLAG, offsetof(options, no_colour), NULL, NULL, 0, 0,
	  "No colours; so anyway when the output is no terminal or NO_COLOR is set.", LAB_LOCAL },
	{ "width", LAB_INT, offsetof(options, width), "N", "the terminal's", 20, 1000, "Columns.", LAB_LOCAL },
	{ "height", LAB_INT, offsetof(options, height), "N", "the terminal's", 5, 1000, "Lines.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "watch",
	.line = "curves of runs in the terminal, while they go on",
	.args = "RUN.h5...",
	.min_args = 1,
	.max_args = MAX_RUNS,
	.about = "Draws loss, validation, learning rate and step rate over the steps, all runs in each picture, with a "
		 "line "
		 "for each run that says how far it is and how long it will take.  A directory stands for the run.h5 "
		 "in it.  "
		 "The files are read again when they were replaced (a run replaces its own at validations, by default "
		 "at "
		 "most every ten seconds).  It ends when no run goes on any more, or at Ctrl-C.",
	.option = option,
	.examples =
		"watch out/moons-nsf-c-1\nwatch out/power-* --series val/nll\nwatch --once out/moons-* > curves.txt",
};

typedef struct {
	const options *o;
	int runs, panels;
	lab_follow run[MAX_RUNS];
	char *series[MAX_PANELS];
	bool terminal, ascii, colour;
} watch;

static volatile sig_atomic_t stopped, resized;

static void on_signal(int which)
{
	if (which == SIGWINCH)
		resized = 1;
	else
		stopped = which;
}

static const char *duration(char buf[32], double s)
{
	if (!(s >= 0 && s < 1e8))
		return strcpy(buf, "-");
	long long t = (long long)(s + 0.5);
	if (t >= 86400)
		snprintf(buf, 32, "%lld d %02lld h", t / 86400, t / 3600 % 24);
	else if (t >= 3600)
		snprintf(buf, 32, "%lld:%02lld:%02lld", t / 3600, t / 60 % 60, t % 60);
	else
		snprintf(buf, 32, "%lld:%02lld", t / 60, t % 60);
	return buf;
}

enum { LINE = 2048 };

/* Appends what there is room for: a log may hold texts of any length. */
static void say(char line[LINE], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(char line[LINE], const char *fmt, ...)
{
	size_t n = strlen(line);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + n, LINE - n, fmt, ap);
	va_end(ap);
}

static void status_line(const watch *w, lab_canvas *c, int k, int name_width)
{
	const lab_follow *f = &w->run[k];
	lab_standing s = lab_follow_standing(f);
	char line[LINE] = "", left[32], mark[8];
	say(line, "%-*s  ", name_width, f->name);
	if (s.steps > 0 && (s.step > 0 || !s.over))
		say(line, "%lld/%lld %3.0f%%  ", (long long)s.step, (long long)s.steps, 100 * (double)s.step / (double)s.steps);
	if (!s.over && s.rate > 0)
		say(line, s.rate < 1000 ? "%.3g/s  left %s  " : "%.0f/s  left %s  ", s.rate, duration(left, s.left));
	else
		say(line, "%s  ", s.status);
	if (isfinite(s.best))
		say(line, "best %.4f at %lld  ", s.best, (long long)s.best_step);
	double test = lab_log_get_real(f->log, "final/test_log_likelihood", NAN);
	if (isfinite(test))
		say(line, "test %.4f +- %.4f nats  ", test, lab_log_get_real(f->log, "final/test_standard_error", NAN));
	if (!s.over && s.silent > 60)
		say(line, "nothing written for %s  ", duration(left, s.silent));
	if (!strcmp(s.status, "failed"))
		say(line, "%s  ", lab_log_get_text(f->log, "status_reason", ""));
	say(line, "%s", f->trouble.text);
	lab_canvas_text(c, 0, k, 1 + k % LAB_COLOURS, lab_canvas_mark(c, k, mark));
	lab_canvas_text(c, 2, k, 0, line);
}

static void panel(const watch *w, lab_canvas *c, const char *series, int x, int y, int width, int height)
{
	lab_curve curve[MAX_RUNS];
	double *px[MAX_RUNS], *py[MAX_RUNS];
	int which[MAX_RUNS];
	const char *unit = NULL;
	char title[200];
	for (int k = 0; k < w->runs; k++) {
		const lab_log_entry *e = lab_log_series(w->run[k].log, series);
		unit = e && e->unit ? e->unit : unit;
		int64_t n = lab_follow_series(w->run[k].log, series, &px[k], &py[k]);
		curve[k] = (lab_curve){ .n = n, .x = px[k], .y = py[k] };
		which[k] = k;
	}
	unit = !strcmp(series, "rate") ? "steps per second" : unit && !strcmp(unit, "1") ? NULL : unit;
	snprintf(title, sizeof title, "%s%s%s", series, unit && *unit ? ", " : "", unit ? unit : "");
	lab_canvas_plot(c, x, y, width, height, title, w->runs, curve, which);
	for (int k = 0; k < w->runs; k++) {
		free(px[k]);
		free(py[k]);
	}
}

static void draw(const watch *w, bool live)
{
	struct winsize size = { 0 };
	int name = 0;
	ioctl(1, TIOCGWINSZ, &size);
	int width = w->o->width ? (int)w->o->width : size.ws_col ? size.ws_col : 100;
	int height = w->o->height ? (int)w->o->height : size.ws_row ? size.ws_row - !live : 40;
	int across = width >= 100 && w->panels > 1 ? 2 : 1, down = (w->panels + across - 1) / across;
	int above = w->runs + 1, tall = (height - above) / down;
	if (tall < 7) /* too low for all: the first ones */
		tall = height - above < 7 ? height - above : 7;
	if (!live && !w->o->height) /* a file or a scrolling terminal has room below */
		tall = tall < 12 ? 12 : tall > 20 ? 20 : tall;
	lab_canvas c = lab_canvas_new(width, live || w->o->height ? height : above + down * tall, w->ascii, w->colour);
	for (int k = 0; k < w->runs; k++)
		name = (int)strlen(w->run[k].name) > name ? (int)strlen(w->run[k].name) : name;
	for (int k = 0; k < w->runs; k++)
		status_line(w, &c, k, name < width / 3 ? name : width / 3);
	for (int k = 0; k < w->panels; k++)
		panel(w, &c, w->series[k], k % across * (width / across), above + k / across * tall, width / across,
		      tall);
	fputs(live ? "\033[H" : "", stdout);
	lab_canvas_put(&c, stdout, live);
	fputs(live ? "\033[J" : "", stdout);
	fflush(stdout);
	lab_canvas_free(&c);
}

static bool all_over(const watch *w)
{
	for (int k = 0; k < w->runs; k++)
		if (!lab_follow_standing(&w->run[k]).over)
			return false;
	return true;
}

static void wait_for_news(watch *w)
{
	double shown = lab_clock();
	for (bool news = false; !news && !stopped && !resized;) {
		nanosleep(&(struct timespec){ (time_t)w->o->every, (long)(fmod(w->o->every, 1) * 1e9) }, NULL);
		for (int k = 0; k < w->runs && !stopped; k++)
			news |= lab_follow_again(&w->run[k]);
		news |= lab_clock() - shown > 10; /* ages of files */
	}
	resized = 0;
}

static int go_live(watch *w)
{
	struct sigaction act = { .sa_handler = on_signal };
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGWINCH, &act, NULL);
	fputs("\033[?1049h\033[?25l", stdout); /* another screen, no cursor */
	while (!stopped && !all_over(w)) {
		draw(w, true);
		wait_for_news(w);
	}
	fputs("\033[?25h\033[?1049l", stdout);
	draw(w, false);
	return stopped ? 128 + stopped : 0;
}

static int choose_series(watch *w)
{
	char *list = lab_strdup(w->o->series), *rest = list;
	for (char *name; (name = strsep(&rest, ","));) {
		bool there = !strcmp(w->o->series, PRESET) || !strcmp(name, "rate");
		for (int k = 0; k < w->runs && !there; k++)
			there = lab_log_series(w->run[k].log, name);
		if (!there || w->panels == MAX_PANELS) {
			int status =
				w->panels == MAX_PANELS
					? lab_cli_wrong(&cli, "--series takes at most %d names", MAX_PANELS)
					: lab_cli_wrong(&cli,
							"no run has a series \"%s\" (h5ls -r RUN.h5/series lists them)",
							name);
			free(list);
			return status;
		}
		w->series[w->panels++] = lab_strdup(name);
	}
	free(list);
	return -1;
}

int main(int argc, char **argv)
{
	static watch w;
	options o = { 0 };
	lab_args a;
	lab_err err;
	setlocale(LC_CTYPE, "");
	int status = lab_cli_parse(&cli, argc, argv, &o, &a);
	if (status >= 0)
		return status;
	w.o = &o;
	for (; w.runs < a.nargs && status < 0; w.runs++)
		if (!lab_follow_begin(&w.run[w.runs], a.arg[w.runs], &err))
			status = lab_cli_wrong(&cli, "%s", err.text);
	if (status < 0)
		status = choose_series(&w);
	const char *term = getenv("TERM");
	w.terminal = isatty(1) && term && strcmp(term, "dumb");
	w.colour = w.terminal && !o.no_colour && !getenv("NO_COLOR");
	w.ascii = o.ascii || strcmp(nl_langinfo(CODESET), "UTF-8") || (w.runs > 1 && !w.colour);
	if (status < 0 && (o.once || !w.terminal || all_over(&w))) {
		draw(&w, false);
		status = 0;
	} else if (status < 0) {
		status = go_live(&w);
	}
	for (int k = 0; k < w.runs; k++)
		lab_follow_end(&w.run[k]);
	for (int k = 0; k < w.panels; k++)
		free(w.series[k]);
	return status;
}
