/*
 * replay_main: runs a fuzz target over the files of its corpus, as an ordinary test without libFuzzer.
 *
 * Fails when a file can't be read or there is none (a test over nothing shows nothing); a target fails by aborting.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
        FILE *in = fopen(path, "rb");
        uint8_t *data;
        long size;

        if (!in || fseek(in, 0, SEEK_END) < 0 || (size = ftell(in)) < 0) {
                perror(path);
                return -1;
        }
        rewind(in);
        data = malloc((size_t)size + 1);
        if (!data || fread(data, 1, (size_t)size, in) != (size_t)size) {
                perror(path);
                return -1;
        }
        fclose(in);
        LLVMFuzzerTestOneInput(data, (size_t)size);
        free(data);
        return 0;
}

int main(int argc, char **argv)
{
        struct dirent **entries;
        int n = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1, n_run = 0;

        if (n < 0) {
                fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
                return 2;
        }
        for (int i = 0; i < n; i++) {
                char path[4096];

                snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
                if (entries[i]->d_name[0] != '.') {
                        if (replay(path) < 0)
                                return 1;
                        n_run++;
                }
                free(entries[i]);
        }
        free(entries);
        printf("%d inputs\n", n_run);
        return n_run ? 0 : 1;
}
