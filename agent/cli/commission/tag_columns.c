/*
 * tag_columns: what the columns of a tag list mean.
 *
 * Every tool names them its own way, so a header's word is stripped to its
 * letters and looked up in a table of spellings; the first column of a meaning
 * counts.  Fails: never; a word that is not here is told by the caller.
 */
#include <ctype.h>
#include <string.h>

#include "agent/cli/commission/tag_row.h"

static const struct {
        const char *word;
        enum tag_column column;
} words[] = {
        {"name", TAG_NAME},
        {"tag", TAG_NAME},
        {"tagname", TAG_NAME},
        {"signal", TAG_NAME},
        {"signalname", TAG_NAME},
        {"point", TAG_NAME},
        {"pointname", TAG_NAME},
        {"variable", TAG_NAME},
        {"variablename", TAG_NAME},
        {"parameter", TAG_NAME},
        {"parametername", TAG_NAME},
        {"symbol", TAG_NAME},
        {"registername", TAG_NAME},
        {"itemname", TAG_NAME},
        {"bezeichnung", TAG_NAME},
        {"nom", TAG_NAME},
        {"nombre", TAG_NAME},
        {"address", TAG_ADDRESS},
        {"addr", TAG_ADDRESS},
        {"register", TAG_ADDRESS},
        {"reg", TAG_ADDRESS},
        {"registeraddress", TAG_ADDRESS},
        {"registernumber", TAG_ADDRESS},
        {"registerno", TAG_ADDRESS},
        {"modbusaddress", TAG_ADDRESS},
        {"modbusregister", TAG_ADDRESS},
        {"startaddress", TAG_ADDRESS},
        {"startregister", TAG_ADDRESS},
        {"at", TAG_ADDRESS},
        {"location", TAG_ADDRESS},
        {"adresse", TAG_ADDRESS},
        {"direccion", TAG_ADDRESS},
        {"type", TAG_TYPE},
        {"datatype", TAG_TYPE},
        {"dataformat", TAG_TYPE},
        {"format", TAG_TYPE},
        {"valuetype", TAG_TYPE},
        {"datentyp", TAG_TYPE},
        {"typ", TAG_TYPE},
        {"unit", TAG_UNIT},
        {"units", TAG_UNIT},
        {"engunit", TAG_UNIT},
        {"engunits", TAG_UNIT},
        {"engineeringunit", TAG_UNIT},
        {"engineeringunits", TAG_UNIT},
        {"uom", TAG_UNIT},
        {"unitofmeasure", TAG_UNIT},
        {"einheit", TAG_UNIT},
        {"unidad", TAG_UNIT},
        {"scale", TAG_SCALE},
        {"scaling", TAG_SCALE},
        {"scalefactor", TAG_SCALE},
        {"scalingfactor", TAG_SCALE},
        {"factor", TAG_SCALE},
        {"multiplier", TAG_SCALE},
        {"gain", TAG_SCALE},
        {"slope", TAG_SCALE},
        {"resolution", TAG_SCALE},
        {"faktor", TAG_SCALE},
        {"skalierung", TAG_SCALE},
        {"divisor", TAG_DIVISOR},
        {"divider", TAG_DIVISOR},
        {"divideby", TAG_DIVISOR},
        {"teiler", TAG_DIVISOR},
        {"offset", TAG_OFFSET},
        {"valueoffset", TAG_OFFSET},
        {"bias", TAG_OFFSET},
        {"intercept", TAG_OFFSET},
        {"table", TAG_TABLE},
        {"function", TAG_TABLE},
        {"functioncode", TAG_TABLE},
        {"fc", TAG_TABLE},
        {"registertype", TAG_TABLE},
        {"area", TAG_TABLE},
        {"memoryarea", TAG_TABLE},
        {"objecttype", TAG_TABLE},
        {"regtype", TAG_TABLE},
        {"device", TAG_DEVICE},
        {"devicename", TAG_DEVICE},
        {"source", TAG_DEVICE},
        {"equipment", TAG_DEVICE},
        {"machine", TAG_DEVICE},
        {"asset", TAG_DEVICE},
        {"station", TAG_DEVICE},
        {"gerät", TAG_DEVICE},
        {"unitid", TAG_SLAVE},
        {"slave", TAG_SLAVE},
        {"slaveid", TAG_SLAVE},
        {"slaveaddress", TAG_SLAVE},
        {"deviceid", TAG_SLAVE},
        {"deviceaddress", TAG_SLAVE},
        {"modbusid", TAG_SLAVE},
        {"nodeid", TAG_SLAVE},
        {"stationid", TAG_SLAVE},
        {"bit", TAG_BIT},
        {"bitposition", TAG_BIT},
        {"bitnumber", TAG_BIT},
        {"bitno", TAG_BIT},
        {"length", TAG_LENGTH},
        {"len", TAG_LENGTH},
        {"words", TAG_LENGTH},
        {"registers", TAG_LENGTH},
        {"numberofregisters", TAG_LENGTH},
        {"quantity", TAG_LENGTH},
        {"count", TAG_LENGTH},
        {"size", TAG_LENGTH},
        {"wordorder", TAG_ORDER},
        {"byteorder", TAG_ORDER},
        {"order", TAG_ORDER},
        {"endian", TAG_ORDER},
        {"endianness", TAG_ORDER},
        {"period", TAG_PERIOD},
        {"scanrate", TAG_PERIOD},
        {"pollrate", TAG_PERIOD},
        {"pollinterval", TAG_PERIOD},
        {"interval", TAG_PERIOD},
        {"access", TAG_ACCESS},
        {"rw", TAG_ACCESS},
        {"clientaccess", TAG_ACCESS},
        {"permission", TAG_ACCESS},
        {"mode", TAG_ACCESS},
        {"rawlow", TAG_RAW_LOW},
        {"rawmin", TAG_RAW_LOW},
        {"rawhigh", TAG_RAW_HIGH},
        {"rawmax", TAG_RAW_HIGH},
        {"scaledlow", TAG_SCALED_LOW},
        {"engmin", TAG_SCALED_LOW},
        {"scaledhigh", TAG_SCALED_HIGH},
        {"engmax", TAG_SCALED_HIGH},
};

void tag_word(char out[TAG_WORD_ROOM], const char *s)
{
        size_t n = 0;

        for (; *s && *s != '(' && *s != '[' && n + 1 < TAG_WORD_ROOM; s++)
                if (isalnum((unsigned char)*s) || (unsigned char)*s >= 0x80)
                        out[n++] = (char)tolower((unsigned char)*s);
        out[n] = '\0';
}

void tag_columns_find(struct tag_columns *t, const struct csv *header, size_t *n_known)
{
        char word[TAG_WORD_ROOM];

        *n_known = 0;
        for (int i = 0; i < TAG_COLUMNS; i++)
                t->at[i] = -1;
        for (size_t f = 0; f < header->n; f++) {
                tag_word(word, header->field[f]);
                for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
                        if (strcmp(words[i].word, word) != 0 || t->at[words[i].column] >= 0)
                                continue;
                        t->at[words[i].column] = (int)f;
                        ++*n_known;
                }
        }
}

bool tag_column_used(const struct tag_columns *t, size_t field)
{
        for (int i = 0; i < TAG_COLUMNS; i++)
                if (t->at[i] == (int)field)
                        return true;
        return false;
}
