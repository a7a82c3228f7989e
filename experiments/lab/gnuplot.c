/* gnuplot.c - runs gnuplot on a script, without a shell, and puts its picture in place when it is whole */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figure.h"
#include "gnuplot.h"
#include "load.h"

extern char **environ;

/* Exit status of gnuplot, or -1 if it does not start. */
static int run(char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t fa;
	pid_t pid;
	int status = 0;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	posix_spawn_file_actions_adddup2(&fa, out, 2);
	int rc = posix_spawnp(&pid, "gnuplot", &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (rc)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

bool lab_figures_available(void)
{
	static int known;
	if (!known) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		known = run((char *[]){ "gnuplot", "--version", NULL }, null, null) == 0 ? 1 : 2;
		close(null);
		if (known == 2)
			fprintf(stderr, "figures are left out: gnuplot is not installed\n");
	}
	return known == 1;
}

int lab__plot_begin(lab__plot *g, const char *png, int width, int height, lab_err *err)
{
	if (strlen(png) >= sizeof g->png) {
		lab__fail(err, png, "the file's name is too long");
		return -1;
	}
	strcpy(g->png, png);
	snprintf(g->beside, sizeof g->beside, "%s.%ld.tmp", png, (long)getpid());
	int fd = open(g->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0) {
		lab__fail(err, png, "cannot be written (%s)", strerror(errno));
		return -1;
	}
	close(fd);
	g->script = tmpfile();
	if (!g->script) {
		lab__fail(err, png, "no temporary file for the plot (%s)", strerror(errno));
		unlink(g->beside);
		return -1;
	}
	fprintf(g->script,
	        "set encoding utf8\n"
	        "set terminal pngcairo noenhanced size %d,%d font 'Sans,10' background '#ffffff'\n",
	        width, height);
	lab__plot_text(g, "set output ", g->beside, "\n");
	fputs("set border lc rgb '#555555'\n"
	      "set tics nomirror tc rgb '#333333'\n"
	      "set grid lc rgb '#e4e4e4' lt 1 lw 1\n"
	      "set style fill solid 1 noborder\n"
	      "set key outside below center horizontal reverse Left samplen 2 title ' ' tc rgb '#222222'\n",
	      g->script);
	return 0;
}

void lab__plot_text(lab__plot *g, const char *before, const char *text, const char *after)
{
	fprintf(g->script, "%s'", before);
	for (const char *c = text; *c; c++) {
		if (*c == '\'')
			fputc('\'', g->script);
		fputc(*c == '\n' || *c == '\r' ? ' ' : *c, g->script);
	}
	fprintf(g->script, "'%s", after);
}

/* The line of gnuplot's output that says what went wrong. */
static void complaint(FILE *log, char line[200])
{
	char s[200];
	line[0] = 0;
	rewind(log);
	while (fgets(s, sizeof s, log)) {
		s[strcspn(s, "\n")] = 0;
		if (strspn(s, " \t^") < strlen(s))
			strcpy(line, s);
	}
}

int lab__plot_end(lab__plot *g, lab_err *err)
{
	struct stat st;
	char line[200] = "";
	FILE *log = tmpfile();
	int rc = -1;
	fputs("unset output\n", g->script);
	if (log && !fflush(g->script) && lseek(fileno(g->script), 0, SEEK_SET) == 0)
		rc = run((char *[]){ "gnuplot", "-d", NULL }, fileno(g->script), fileno(log));
	if (rc && log)
		complaint(log, line);
	if (rc || stat(g->beside, &st) || st.st_size == 0) {
		lab__fail(err, g->png, "gnuplot failed (status %d%s%s)", rc, *line ? ": " : "", line);
		rc = -1;
	} else if (rename(g->beside, g->png)) {
		lab__fail(err, g->png, "cannot be written (%s)", strerror(errno));
		rc = -1;
	}
	if (rc)
		unlink(g->beside);
	if (log)
		fclose(log);
	fclose(g->script);
	return rc;
}
